"""The web panel: static files only. Whoever serves it needs the facts below and nothing else.

`index.html` is answered at `/`, every other file of this folder below `/panel/`, each with `HEADERS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parent
"""The folder of the static files."""

PREFIX = "/panel/"
"""Where the files of `ROOT` are expected, except `index.html`, which is `/`."""

TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
    }
)
"""The only kinds of file that are served; licences, hashes and Python stay where they are."""

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        # Always asked again (answered 304 mostly), so that an upgraded daemon is not driven by an old panel.
        "Cache-Control": "no-cache",
    }
)
"""Sent with every file of the panel (panel-api-security.md: CSP without inline script)."""


def find(path: str) -> Path | None:
    """The served file for the part of the URL after `PREFIX`; None if there is none (404)."""
    file = (ROOT / path).resolve()
    if file.suffix not in TYPES or not file.is_relative_to(ROOT) or not file.is_file():
        return None
    return file
