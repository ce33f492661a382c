"""Serves the page's files, which are the same on every server. What they show, they read from the control routes.

Owns the headers that keep foreign content out of the page, and the page out of others. Knows no session.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path

from fakellm.engine.response import Response, respond
from fakellm.server.page.paths import FILES, PAGE
from fakellm.wire.plan import Frame, Plan

FOLDER = Path(__file__).parent / "static"

_MODULES = "announcer answer bytes control conversation detail dialogs dom editor entries events list main raw row rule"
_MODULES += " scenario_text server why wire"
NAMES = ("icon.svg", "style.css", *(f"{name}.js" for name in _MODULES.split()))
"""The files besides the page itself."""

_PAGE = "index.html"

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-cache"),
)
"""Only this server's own scripts and styles, and no text that becomes one; no frames; nothing of the address for other
sites; and a browser that has a file asks whether it is still the same."""

PATHS: Mapping[str, str] = {PAGE: _PAGE, **{FILES + name: name for name in NAMES}}
"""The names of the files, by their paths."""


def colours() -> str:
    """The colours and fonts of the stylesheet, light and dark, for pages that stand alone."""
    text = (FOLDER / "style.css").read_text(encoding="utf-8")
    return text[text.index(":root") : text.index("\n* {")]


def page_file(path: str, headers: Mapping[str, str]) -> Response:
    """The file with this path, or the response that it has not changed to a browser that has it."""
    name = PATHS[path]
    body, tag = _content(name)
    shown = (*_HEADERS, ("ETag", tag))
    if headers.get("If-None-Match") == tag:
        return respond(Plan(304, shown, ()))
    content_type = ("Content-Type", _TYPES[Path(name).suffix])
    return respond(Plan(200, (content_type, *shown), (Frame(body),)))


def to_page() -> Response:
    """Leads from the path without its last slash, or from the root, to the page, in whatever session."""
    return respond(Plan(307, (("Location", "_fakellm/"), *_HEADERS), ()))


@cache
def _content(name: str) -> tuple[bytes, str]:
    body = (FOLDER / name).read_bytes()
    return body, f'"{blake2b(body, digest_size=12).hexdigest()}"'
