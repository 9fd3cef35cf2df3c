"""The daemon's API over HTTP: every answer is a reply, a problem, or nobody."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from ecc_controld.sdk.errors import EccError
from ecc_controld.sdk.text import Text

DIAL_S = 5.0
ANSWER_S = 15.0


class Unreachable(EccError):
    """No daemon answers at the URL."""

    def __init__(self, text: Text) -> None:
        super().__init__(text.en)
        self.text = text


class BadUrl(EccError):
    """The URL is not one."""

    def __init__(self, url: str) -> None:
        self.text = Text(
            f"地址无效：{url}（应如 http://127.0.0.1:8080）", f"not a URL: {url} (http://127.0.0.1:8080)"
        )
        super().__init__(self.text.en)


class Refusal(EccError):
    """The daemon said no: its problem document, and the bytes of it."""

    def __init__(self, status: int, document: dict[str, Any], raw: bytes) -> None:
        super().__init__(str(document.get("detail") or document.get("title") or status))
        self.status = status
        self.document = document
        self.raw = raw


@dataclass(frozen=True)
class Reply:
    """An answer: its status, its JSON, and the very bytes of it."""

    status: int
    data: dict[str, Any]
    raw: bytes


class Api:
    """`async with Api(url) as api: await api.get("hall")`. Raises Unreachable, BadUrl, Refusal."""

    def __init__(self, url: str) -> None:
        try:
            self.base = URL(url)
        except ValueError:
            raise BadUrl(url) from None
        if self.base.scheme not in ("http", "https") or not self.base.host:
            raise BadUrl(url)
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Api:
        self._http = aiohttp.ClientSession(headers={"ECC-Client": "eccctl"})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def get(self, *path: str, **query: str | list[str] | None) -> Reply:
        """Ask for something; the path's parts are quoted here."""
        return await self.call("GET", *path, query=query)

    async def call(
        self,
        method: str,
        *path: str,
        query: Mapping[str, str | list[str] | None] | None = None,
        body: dict[str, Any] | None = None,
        key: str | None = None,
        wait_s: float = 0.0,
    ) -> Reply:
        """One request. `wait_s` is how long the daemon may take on purpose, in s; `key` makes it idempotent."""
        assert self._http is not None
        url = self.url(*path).with_query({name: text for name, text in (query or {}).items() if text is not None})
        headers = {} if key is None else {"Idempotency-Key": key}
        limit = aiohttp.ClientTimeout(total=ANSWER_S + wait_s, sock_connect=DIAL_S)
        try:
            async with self._http.request(method, url, json=body, headers=headers, timeout=limit) as answer:
                return _read(self.base, answer.status, await answer.read())
        except TimeoutError:
            raise Unreachable(self._silent()) from None
        except aiohttp.InvalidURL:
            raise BadUrl(str(self.base)) from None
        except aiohttp.ClientError as error:
            raise Unreachable(self._dead(error)) from None

    def url(self, *path: str) -> URL:
        """The URL of a thing below /api/v1."""
        parts = "/".join(quote(part, safe="") for part in path)
        return URL(f"{str(self.base).rstrip('/')}/api/v1/{parts}", encoded=True)

    def _silent(self) -> Text:
        return Text(
            f"守护进程未应答：{self.base}（连接成功但没有回复，可能已僵死）",
            f"the daemon at {self.base} does not answer; it may hang",
        )

    def _dead(self, error: Exception) -> Text:
        why = str(error) or type(error).__name__
        if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
            why = os.strerror(error.os_error.errno)
        return Text(
            f"连不上守护进程：{self.base}（{why}）；它在运行吗？用 --url 或 ECCCTL_URL 指定地址",
            f"no daemon at {self.base} ({why}); does it run? set --url or ECCCTL_URL",
        )


def _read(base: URL, status: int, raw: bytes) -> Reply:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise Unreachable(
            Text(
                f"{base} 上应答的不是 ecc_controld（HTTP {status}，不是 JSON）",
                f"what answers at {base} is not ecc_controld (HTTP {status}, no JSON)",
            )
        )
    if status >= 400:
        raise Refusal(status, data, raw)
    return Reply(status, data, raw)
