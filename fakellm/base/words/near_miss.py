"""Finds the valid word that a wrong one was meant to be: what users call it elsewhere, or the one spelled alike."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

_LONGEST = 120
"""Characters of a word that is compared: the search takes as long as the word is."""

_MEANT: dict[str, str | tuple[str, ...]] = {
    "aborted": "client left",
    "anthropic": "messages",
    "chunk_size": "split",
    "calls": "tool_calls",
    "canceled": "client left",
    "cancelled": "client left",
    "claude": ("messages", "anthropic"),
    "complete": "sent",
    "completed": "sent",
    "count": "times",
    "delay": "first",
    "disconnect": "reset",
    "disconnected": "client left",
    "google": "gemini",
    "grok": "xai",
    "latency": "first",
    "prompt": "user",
    "response": "reply",
    "run": "serve",
    "sigma": "deviation",
    "start": "serve",
    "std": "deviation",
    "stddev": "deviation",
    "text": "content",
    "thinking": "reasoning",
    "timeout": "stall",
    "times": "count",
    "tools": "tool_calls",
    "validate": "check",
}
"""Words that providers, SDKs and other tools have for what we call by another."""


def other_word(word: str, allowed: Sequence[str]) -> str | None:
    """The allowed word for what is called so elsewhere, if there is one."""
    found = _MEANT.get(word.lower(), ())
    others = (found,) if isinstance(found, str) else found
    return next((each for each in allowed if each.lower() in others), None) if others else None


def near_miss(word: str, allowed: Sequence[str]) -> str:
    """``; did you mean 'padding'?`` if one of the allowed words was probably meant, otherwise an empty string."""
    found = meant(word, allowed)
    return "" if found is None else f"; did you mean {found!r}?"


def meant(word: str, allowed: Sequence[str]) -> str | None:
    """The allowed word that was probably meant, if there is one."""
    found = other_word(word, allowed)
    if found is None and len(word) <= _LONGEST:
        found = next(iter(get_close_matches(word, allowed, n=1)), None)
    return found
