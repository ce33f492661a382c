"""Replies that nobody wrote: seeded text. Owns the words; knows no request and no dialect."""

from __future__ import annotations

from fakellm.seed import Source

_OPENINGS = ("In short", "First of all", "As a rule", "Put simply", "On closer look", "In most cases", "To begin with")
_SUBJECTS = ("the answer", "a small test", "this example", "the second step", "a plain reply", "the whole stream")
_VERBS = ("depends on", "follows from", "is close to", "goes well with", "starts with", "leads to", "comes before")
_OBJECTS = ("the question", "3 simple rules", "what was asked", "a clear plan", "the next chunk", "some 20 words")
_ENDINGS = ("", "", " in the end", " every time", ", as expected", ", no more and no less")


def text(source: Source, sentences: int) -> str:
    """So many English sentences; the same source gives the same text."""
    return " ".join(_sentence(source) for _ in range(sentences))


def _sentence(source: Source) -> str:
    opening, subject, verb = source.choice(_OPENINGS), source.choice(_SUBJECTS), source.choice(_VERBS)
    return f"{opening}, {subject} {verb} {source.choice(_OBJECTS)}{source.choice(_ENDINGS)}."
