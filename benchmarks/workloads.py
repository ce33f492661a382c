"""What the benchmarks send and what the servers answer: requests that differ by a number, rules and texts.

Knows no server and no clock.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
XAI = ROOT / "scenarios" / "xai-parallel-tools.yaml"

DIGITS = 9
NONCE = "#" * DIGITS
_WORDS = "The first of these is a short and plain one, and so it goes on from there to the end of the line with".split()


@dataclass(frozen=True)
class Template:
    """A chat request as it goes over the wire. Each number makes another request of the same length, unless the body
    has no place for one: then all requests are the same."""

    head: bytes
    tail: bytes = b""

    def request(self, number: int) -> bytes:
        return self.head + b"%0*d" % (DIGITS, number) + self.tail if self.tail else self.head

    @property
    def body(self) -> bytes:
        """The body of the request with the number 0."""
        return self.request(0).partition(b"\r\n\r\n")[2]


def template(body: dict[str, Any], path: str = "/v1/chat/completions", headers: Sequence[str] = ()) -> Template:
    """The request with this body, in which NONCE stands for the number."""
    content = json.dumps(body).encode()
    lines = f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Authorization: Bearer any", "Content-Type: application/json"
    head = "\r\n".join((*lines, *headers, f"Content-Length: {len(content)}", "", "")).encode()
    before, _, after = content.partition(NONCE.encode())
    return Template(head + before, after)


def question(**fields: Any) -> Template:
    """Each request asks another question."""
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": f"Question {NONCE}: how many streams are there in a second?"},
    ]
    return template({"model": "gpt-4o", "messages": messages, **fields})


def same_question() -> Template:
    """The first request of the recorded xAI turn, whose reply has 138 frames and 31 kB."""
    return template(
        {
            "model": "grok-4-fast",
            "stream": True,
            "stream_options": {"include_usage": True},
            "messages": [{"role": "user", "content": "Add and multiply the number 2 and 3"}],
            "tools": [{"type": "function", "function": {"name": name}} for name in ("add", "multiply")],
        }
    )


def text(words: int) -> str:
    """English words, one token each, or two."""
    return " ".join(_WORDS[number % len(_WORDS)] for number in range(words))


def even_text(pieces: int) -> str:
    """For servers that cut a text at words or after EVEN characters: so many pieces in both."""
    return " ".join(f"word{number:03}" for number in range(pieces))


EVEN = 8


def scripted(content: str, dialect: str = "openai", **rule: Any) -> dict[str, Any]:
    """A scenario of one rule, which answers every question with this text."""
    when = {"user": "Question"}
    return {"rules": [{"when": when, "reply": {"content": content}, **rule}], "dialect": dialect}
