"""Reading requests carefully: bodies, numbers, the headers of a press."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any, TypeVar

from aiohttp import web
from pydantic import ValidationError

from ecc_controld.control.acceptance import Press
from ecc_controld.control.stamp import from_rfc3339
from ecc_controld.sdk.text import Text

from .context import CONTEXT
from .problems import Problem, encode
from .schemas import Strict

B = TypeVar("B", bound=Strict)

BODY_S = 5.0
"""How long a client may take to send a body."""
BODY_LIMIT = 64 * 1024
STALE_S = 5.0
"""A press older than this does nothing any more."""
KEY_LIMIT = 128
SHOWN = 20
"""How many wrong fields an answer names."""


def reply(body: object, status: int = 200) -> web.Response:
    """JSON, never cached."""
    return web.Response(
        status=status,
        body=encode(body),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


async def body_of(request: web.Request, model: type[B]) -> tuple[B, bytes]:
    """The body as a model (an empty one counts as `{}`), and its bytes; raises Problem 400, 408, 413 or 422."""
    try:
        async with asyncio.timeout(BODY_S):
            raw = await request.read()
    except TimeoutError:
        raise Problem(408, "slow_body", Text("请求体迟迟未到", "the body did not arrive in time")) from None
    try:
        data = json.loads(raw or b"{}")
        json.dumps(data, ensure_ascii=False).encode()  # half a surrogate pair could be neither stored nor told
    except (ValueError, RecursionError):
        raise Problem(400, "bad_json", Text("请求体不是有效的 JSON", "the body is not valid JSON")) from None
    try:
        return model.model_validate(data), raw
    except ValidationError as error:
        raise _invalid(error, model) from None


TYPES = {
    "bool": Text("true 或 false", "true or false"),
    "int": Text("整数", "a whole number"),
    "float": Text("数值", "a number"),
    "string": Text("文字", "text"),
    "dict": Text("对象", "an object"),
    "model": Text("对象", "an object"),
}
"""What pydantic's errors ask for, by the first word of their type."""


def _invalid(error: ValidationError, model: type[Strict]) -> Problem:
    """One sentence a field: a value that fits none of several types has an error for each of them."""
    fields: dict[str, list[str]] = {}
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        fields.setdefault(str(one["loc"][0])[:80] if one["loc"] else "", []).append(one["type"])
    told = {field: _trouble(kinds) for field, kinds in list(fields.items())[:SHOWN]}
    text = Text(
        "请求体有误：" + "；".join(f"{field or '整体'} {why.zh}" for field, why in told.items()),
        "the body is wrong: " + "; ".join(f"{field or 'it'} {why.en}" for field, why in told.items()),
    )
    errors = [{"field": field, "problem": why.en, "problem_zh": why.zh} for field, why in told.items()]
    return Problem(422, "bad_body", text, errors=errors, valid=sorted(model.model_fields))


def _trouble(kinds: list[str]) -> Text:
    if "missing" in kinds:
        return Text("缺少", "is missing")
    if "extra_forbidden" in kinds:
        return Text("不认识", "is not known here")
    wanted = [TYPES[word] for word in dict.fromkeys(kind.partition("_")[0] for kind in kinds) if word in TYPES]
    if not wanted:
        return Text("无效", "is not valid")
    return Text("应为" + "、".join(one.zh for one in wanted), "must be " + " or ".join(one.en for one in wanted))


def number_in(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number of the query; raises Problem 422."""
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not low <= int(text[:9]) <= high:
        raise Problem(
            422, "bad_query", Text(f"{name} 应为 {low} 到 {high}", f"{name} must be a number from {low} to {high}")
        )
    return int(text)


def wait_of(request: web.Request) -> float | None:
    """The query's `wait` in seconds (0 to 600), None without one; raises Problem 422."""
    text = request.query.get("wait")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 600:
        raise Problem(422, "bad_query", Text("wait 应为 0 到 600 秒", "wait must be 0 to 600 seconds"))
    return seconds


def press_of(request: web.Request, raw: bytes, **more: Any) -> Press:
    """Who presses, with which key."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= KEY_LIMIT and key.isascii() and key.isprintable()):
        text = Text(
            "幂等键应为 1 到 128 个可见 ASCII 字符", "Idempotency-Key must be 1 to 128 printable ASCII characters"
        )
        raise Problem(422, "bad_key", text)
    client = request.headers.get("ECC-Client", "api")
    if client not in ("panel", "eccctl", "api"):
        client = "api"
    digest = hashlib.sha256(request.path.encode() + b"\n" + raw).hexdigest()
    return Press(by=client, trigger=client, key=key, digest=digest, **more)


def refuse_stale(request: web.Request) -> None:
    """A press that was made while the daemon was frozen is not executed later; raises Problem 410 or 422."""
    text = request.headers.get("Pressed-At")
    if text is None:
        return
    try:
        pressed = from_rfc3339(text)
    except ValueError:
        raise Problem(
            422,
            "bad_time",
            Text("Pressed-At 应为带时区的 RFC 3339 时间", "Pressed-At must be RFC 3339 with a zone"),
        ) from None
    age = request.app[CONTEXT].engine.clock.age(pressed, slack=STALE_S)
    if age > STALE_S:
        raise Problem(
            410,
            "stale_press",
            Text(
                f"按键已过 {age:.0f} 秒，未执行，请再按一次", f"pressed {age:.0f} s ago: not executed; press again"
            ),
        )
