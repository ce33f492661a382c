"""Says why a client cannot be tried: it fails on a plain stream. Owns the remedy for a client of another API."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent
from typing import Any

from fakellm.apis.route import HOMES, REPLIES
from fakellm.fuzzing.clients.client_under_test import PlainStreamError
from fakellm.fuzzing.reports.wire_dump import dumped, legend
from fakellm.wire.plan import Plan


def not_tried(problem: str, expected: Any, url: str, api: str, plans: Sequence[Plan]) -> PlainStreamError:
    """The error with all that shows what went wrong.

    problem: what the client did. expected: what it should have returned. url: what it requested; empty if nothing.
    plans: what was sent.
    """
    lines = [problem, f"   expected  {expected!r}"]
    requested = api_requested(url)
    if not url:
        others = ", ".join(name for name in HOMES if name != api)
        lines.append(
            f"   It sent no request. If it is a client of another API than {api}, add --api with its name, or api=… in "
            f"Python: {others}"
        )
    elif requested is None:
        lines.append(f"   It requested {url}, which no API has.")
    elif requested != api:
        lines.append(
            f"   It requested {url}, of the API {requested}: add --api {requested}, or api={requested!r} in Python"
        )
    if plans:
        shown = "\n".join(map(dumped, plans))
        lines += [f"   On the wire (one line per write{legend(shown)}):", indent(shown, "   ")]
    return PlainStreamError("\n".join(lines))


def api_requested(url: str) -> str | None:
    """The API that a path belongs to, also behind the base path of another; None if there is none."""
    path = url.partition("?")[0]
    if ":streamGenerateContent" in path or ":generateContent" in path:
        return "gemini"
    return next((name for known, name in REPLIES.items() if path.endswith(known.removeprefix("/v1"))), None)
