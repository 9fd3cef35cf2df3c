"""Errors as RFC 9457 problem documents: what is wrong and what helps, in both languages."""

from __future__ import annotations

import difflib
import json
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web

from ecc_controld.control.acceptance import Refused
from ecc_controld.journal import JournalError
from ecc_controld.sdk.text import Text

from .context import CONTEXT

log = structlog.get_logger("api")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def encode(body: object) -> bytes:
    """JSON as UTF-8. Half a surrogate pair, which a request can smuggle in, becomes a question mark."""
    return json.dumps(body, ensure_ascii=False).encode(errors="replace")


class Problem(Exception):
    """An answer that says no. `helps` goes into the document (`valid`, `nearest`, `held_by`, ..)."""

    def __init__(self, status: int, code: str, text: Text, **helps: Any) -> None:
        super().__init__(text.en)
        self.status = status
        self.code = code
        self.text = text
        self.helps = helps

    def response(self) -> web.Response:
        """The document."""
        document = {
            "type": f"urn:ecc-controld:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.text.en,
            "detail_zh": self.text.zh,
            "code": self.code,
            **{name: value for name, value in self.helps.items() if value is not None},
        }
        return web.Response(
            status=self.status,
            body=encode(document),
            content_type="application/problem+json",
            headers={"Cache-Control": "no-store"},
        )


def unknown(what: Text, name: str, valid: Iterable[str]) -> Problem:
    """404: no such thing; names what there is."""
    names = sorted(valid)
    near = difflib.get_close_matches(name, names, 1)
    text = Text(f"没有名为“{name[:80]}”的{what.zh}", f"there is no {what.en} named {name[:80]!r}")
    return Problem(404, "unknown", text, valid=names[:500], nearest=near[0] if near else None)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns everything that goes wrong into a problem document."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except Refused as refused:
        return Problem(refused.status, refused.code, refused.text, **_told(request, refused.helps)).response()
    except JournalError as error:
        return Problem(503, error.code, error.text).response()
    except web.HTTPNotFound:
        return Problem(404, "no_such_path", Text("没有这个路径", f"no such path: {request.path[:200]}")).response()
    except web.HTTPMethodNotAllowed as error:
        allowed = sorted(error.allowed_methods)
        text = Text("该路径不支持此方法", f"this path allows {', '.join(allowed)}")
        response = Problem(405, "method_not_allowed", text, valid=allowed).response()
        response.headers["Allow"] = ", ".join(allowed)
        return response
    except web.HTTPRequestEntityTooLarge:
        return Problem(413, "too_large", Text("请求体过大", "the body is too large")).response()
    except web.RequestPayloadError:
        return Problem(400, "bad_body", Text("请求体传输有误", "the body was not sent properly")).response()
    except web.HTTPException as error:
        if error.status < 400:
            raise
        text = Text(f"请求无法处理（HTTP {error.status}）", error.reason)
        return Problem(error.status, "http", text).response()
    except Exception:
        log.exception("request failed", code="internal", method=request.method, path=request.path)
        text = Text("程序内部错误，已记入日志", "an internal error; it is in the log")
        return Problem(500, "internal", text).response()


def _told(request: web.Request, helps: dict[str, Any]) -> dict[str, Any]:
    """What helps, with the time of a hold as people read it."""
    held = helps.get("held_by")
    if held is None:
        return helps
    return {**helps, "held_by": {**held, "since": request.app[CONTEXT].time(held["since"])}}
