"""The words for finish reasons, and the numbers of enums for clients that request numbers. Knows no frames.

https://ai.google.dev/api/generate-content#FinishReason; the numbers are those of Google's published protos.
"""

from __future__ import annotations

from typing import Any, Literal

from fakellm.model.blocks import Stop, own_value

NAME = "gemini"
Enums = Literal["names", "numbers"]

_WORDS = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
_REASONS = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"}
_FIRST = ("FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER")
_LAST = ("BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MALFORMED_FUNCTION_CALL")
_NUMBERED = {
    "ai-studio": (*_FIRST, "LANGUAGE", *_LAST, "IMAGE_SAFETY", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"),
    "vertex": (*_FIRST, *_LAST, "MODEL_ARMOR"),
}
"""The words by their numbers."""


def finish_word(stop: Stop) -> str:
    """The `finishReason` of a stop. A word that no other API has stands for itself."""
    return str(own_value(stop.own, NAME, "finishReason") or _WORDS.get(stop.reason) or stop.reason)


def stop_of(word: str, calls: bool) -> Stop:
    """The stop with this `finishReason`; `calls`: whether the choice has function calls, for which Google has no word
    of its own."""
    reason = _REASONS.get(word, word)
    return Stop("tool_calls" if calls and reason == "stop" else reason)


def encoded(word: str, enums: Enums, dialect: str) -> str | int:
    """The word, or its number if it has one and numbers are sent."""
    words = _NUMBERED[dialect]
    return words.index(word) if enums == "numbers" and word in words else word


def decoded(value: Any, dialect: str) -> str:
    """The word of a recorded value."""
    words = _NUMBERED[dialect]
    return words[value] if type(value) is int and 0 <= value < len(words) else str(value)


def modality(enums: Enums) -> str | int:
    """Text, as a modality of tokens."""
    return 1 if enums == "numbers" else "TEXT"
