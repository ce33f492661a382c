"""Keeps the log of a server readable: what a request contains cannot forge a line, and no error floods it.

Owns the filter of the logger `fakellm`. Knows nothing about what is logged.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import traceback
from collections.abc import Callable
from typing import Any

from fakellm.base.words.count import count
from fakellm.engine.entry import Entry
from fakellm.engine.response import Response

MOST_CHARACTERS = 4_000
"""The longest value in a line of the log; of a longer one, the rest is left out."""

ACCEPT_SILENCE = 60.0
"""Seconds after a message that no connection could be accepted, in which there is no other such message."""

_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

UNMATCHED = "no rule matched: "
"""How the lines of requests start that no rule matched."""


def one_line(text: str) -> str:
    """The text with every character escaped that is not printable: line breaks, terminals' escapes, directions of
    writing, lone surrogates."""
    if len(text) > MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]}… ({len(text):,} characters)"
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


class OneLine(logging.Filter):
    """Escapes the values in a record; the text around them is ours. A traceback is indented."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(map(_safe, record.args))
        if record.exc_info and not record.exc_text:
            lines = "".join(traceback.format_exception(*record.exc_info)).split("\n")
            record.exc_text = "\n".join(f"    {one_line(line)}" for line in lines if line)
        return True


def _safe(value: Any) -> Any:
    return value if isinstance(value, int | float) else one_line(str(value))


_FILTER = OneLine()


def logger() -> logging.Logger:
    """The logger `fakellm`, with the filter."""
    found = logging.getLogger("fakellm")
    found.addFilter(_FILTER)  # it is added only once
    return found


def summarize(entry: Entry, milliseconds: float) -> None:
    """Logs a line about a request that has ended, however it ended."""
    frames = f"{entry.frames_sent:,} of {count(entry.frames, 'frame')}"
    start = "" if entry.matched else UNMATCHED
    fault = f", fault {entry.fault}" if entry.fault else ""
    logger().info(
        f"{start}%s %s: %s, %s{fault}, {frames}, %s in {milliseconds:.1f} ms",
        entry.method,
        entry.path,
        "no status" if entry.status is None else entry.status,
        entry.rule or "no rule",
        entry.outcome,
    )


def explain(method: str, target: str, response: Response) -> None:
    """Logs why a request was answered as it was."""
    generated = " with generated text" if response.rule == "generated" else ""
    status = f"{response.head.status}{generated}"
    explanation = str(response.explanation).removeprefix("No rule matches this request. ")  # the line starts with that
    start = "" if response.matched else UNMATCHED
    logger().warning(f"{start}%s %s: answered %s. %s", method, target, status, explanation)


def quieten(loop: asyncio.AbstractEventLoop) -> None:
    """Gives an event loop `LoopErrors`, unless it has one."""
    before = loop.get_exception_handler()
    if not isinstance(before, LoopErrors):
        loop.set_exception_handler(LoopErrors(before))


class LoopErrors:
    """The exception handler of an event loop: reports once in a while that no connection can be accepted for lack of
    descriptors or memory; `before` handles all else. asyncio reports each of the connections that wait, and tries again
    after a second: once for each, even if the server has stopped by then."""

    def __init__(self, before: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], Any] | None = None) -> None:
        self._before = before
        self._silent_until = 0.0  # on the loop's clock

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error, message = context.get("exception"), str(context.get("message"))
        if isinstance(error, ValueError) and "._start_serving(" in message:
            return  # one of its attempts to accept again, after the server has stopped
        if isinstance(error, OSError) and error.errno in _NO_ROOM and "accept" in message:
            if loop.time() >= self._silent_until:
                self._silent_until = loop.time() + ACCEPT_SILENCE
                logger().warning(
                    "no connection can be accepted until another one ends: %s; `ulimit -n` sets how many may be open",
                    (error.strerror or str(error)).lower(),
                )
        elif self._before is not None:
            self._before(loop, context)
        else:
            loop.default_exception_handler(context)
