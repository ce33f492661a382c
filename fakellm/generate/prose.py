"""Seeded English text. It owns the words, and knows no requests and no dialects."""

from __future__ import annotations

from fakellm.base.seed import Source

_OPENINGS = (
    "In short, ",
    "First of all, ",
    "As a rule, ",
    "Put simply, ",
    "On closer look, ",
    "In most cases, ",
    "To begin with, ",
    "After that, ",
    "At the same time, ",
    "",
)
_SUBJECTS = (
    "the answer",
    "a small test",
    "this example",
    "the second step",
    "a plain reply",
    "the whole stream",
    "every part of it",
    "the first of the two",
    "what remains",
    "a good plan",
)
_VERBS = (
    "depends on",
    "follows from",
    "is close to",
    "goes well with",
    "starts with",
    "leads to",
    "comes before",
    "is made of",
    "says more than",
)
_OBJECTS = (
    "the question",
    "3 simple rules",
    "what was asked",
    "a clear plan",
    "the next chunk",
    "some 20 words",
    "the details",
    "one good reason",
    "a list of names",
)
_ENDINGS = ("", "", "", " in the end", " every time", ", as expected", ", no more and no less", ", whatever its length")
_PARAGRAPH = 5  # sentences; longer texts have several paragraphs


def text(source: Source, sentences: int) -> str:
    """A number of English sentences, in paragraphs of five; the same source gives the same text."""
    drawn = [_sentence(source) for _ in range(sentences)]
    return "\n\n".join(" ".join(drawn[start : start + _PARAGRAPH]) for start in range(0, sentences, _PARAGRAPH))


def words(source: Source) -> str:
    """Two or three words: the value of a text field whose name suggests nothing."""
    return " ".join(source.choice((_SUBJECTS, _OBJECTS)[source.below(2)]).split()[-3:])


def _sentence(source: Source) -> str:
    start = source.choice(_OPENINGS) + source.choice(_SUBJECTS)
    verb, thing, ending = source.choice(_VERBS), source.choice(_OBJECTS), source.choice(_ENDINGS)
    return f"{start[0].upper()}{start[1:]} {verb} {thing}{ending}."
