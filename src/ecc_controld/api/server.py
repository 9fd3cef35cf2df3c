"""The HTTP server: routes, headers, the panel's files, and who may ask."""

from __future__ import annotations

import difflib
import ipaddress
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from ecc_controld.sdk.text import Text

from . import openapi
from .context import CONTEXT, Context
from .problems import Handler, Problem, problems
from .request import BODY_LIMIT, reply
from .routes import API, ROUTES, Route

PANEL = Path(str(files("ecc_controld"))) / "panel"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def build(context: Context) -> web.Application:
    """The application, ready to be run."""
    app = web.Application(middlewares=[problems, _careful], client_max_size=BODY_LIMIT)
    app[CONTEXT] = context
    for route in ROUTES:
        app.router.add_route(route.method, route.path, _asked_right(route) if route.strict else route.handler)
    described = openapi.document(context.version)

    async def describe(request: web.Request) -> web.Response:
        return reply(described)

    app.router.add_get(f"{API}/openapi.json", describe)
    app.router.add_get("/", _index)
    if PANEL.is_dir():
        app.router.add_static("/panel", PANEL, append_version=False)
    app.on_response_prepare.append(_headers)
    return app


def _asked_right(route: Route) -> Handler:
    """Its handler behind a check of the query: a misspelt name must not look like a filter that was obeyed."""
    valid = sorted(route.query)

    async def handler(request: web.Request) -> web.StreamResponse:
        for name in request.query:
            if name not in route.query:
                text = Text(f"没有查询参数“{name[:80]}”", f"there is no query parameter {name[:80]!r} here")
                near = difflib.get_close_matches(name, valid, 1)
                raise Problem(422, "bad_query", text, valid=valid, nearest=near[0] if near else None)
            if len(request.query.getall(name)) > 1 and name not in route.again:
                raise Problem(422, "bad_query", Text(f"{name} 给了两次", f"{name} is given twice"))
        return await route.handler(request)

    return handler


async def _index(request: web.Request) -> web.StreamResponse:
    return web.FileResponse(PANEL / "index.html")


async def _headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.path.startswith("/panel/") or request.path == "/":
        response.headers["Cache-Control"] = "no-cache"


@web.middleware
async def _careful(request: web.Request, handler: Handler) -> web.StreamResponse:
    """While no account exists: loopback names only, and nothing that another site's page sends.

    A name that merely resolves to loopback (DNS rebinding) or a foreign Origin would let any web page in the
    officer's browser switch the hall.
    """
    if not _is_loopback(_host_of(f"//{request.headers.get('Host', '')}")):
        text = Text("请用本机地址访问", "use a loopback address: no account exists yet")
        raise Problem(403, "wrong_host", text, valid=list(LOOPBACK))
    origin = request.headers.get("Origin")
    if origin is not None and not _same_site(origin, request.headers.get("Host", "")):
        raise Problem(
            403, "wrong_origin", Text("不接受其他网站的请求", "requests of other sites are not accepted")
        )
    return await handler(request)


def _host_of(url: str) -> str:
    """The host name of a URL; empty for one that is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _same_site(origin: str, host: str) -> bool:
    return bool(_host_of(origin)) and urlsplit(origin).netloc.lower() == host.lower()


def _is_loopback(host: str) -> bool:
    if host in LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
