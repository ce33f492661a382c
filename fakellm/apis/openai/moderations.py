"""`POST /v1/moderations`: nothing is ever flagged, and the scores are low and from the seed. Knows no rules.

https://platform.openai.com/docs/api-reference/moderations/create
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from fakellm.base.errors import RequestError
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM, Source
from fakellm.model.request import digest, empty, typed

_TEXT_ALONE = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "sexual/minors",
)
_PICTURES_TOO = ("self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "violence", "violence/graphic")
CATEGORIES = tuple(sorted((*_TEXT_ALONE, *_PICTURES_TOO)))


class ModerationPart(Struct, frozen=True):
    """A part of an input: a text or a picture."""

    type: Literal["text", "image_url"]
    text: str | None = None
    image_url: dict[str, Any] | None = None


class Moderations(Struct, frozen=True):
    """The body of `POST /v1/moderations`, typed."""

    input: str | tuple[str | ModerationPart, ...]
    model: str = "omni-moderation-latest"


def moderations(data: bytes, seed: int) -> tuple[JSON, JSON]:
    """The reply to a body, and the body read: a result for each text, and one for all parts. Raises RequestError."""
    asked, body = typed(data, Moderations)
    if asked.input == ():
        raise empty("input")
    given = (asked.input,) if isinstance(asked.input, str) else asked.input
    parts = [each for each in given if isinstance(each, ModerationPart)]
    if parts and len(parts) < len(given):
        message = "Invalid type for 'input': expected strings alone or parts alone."
        raise RequestError(400, message, "invalid_type", "input")
    kinds = [tuple(dict.fromkeys(part.type for part in parts))] if parts else [("text",)] * len(given)
    source = Source(seed, "moderation", digest(body))
    results = [_result(each, source) for each in kinds]
    return {"id": "modr-" + source.text(ALNUM, 29), "model": asked.model, "results": results}, body


def _result(kinds: tuple[str, ...], source: Source) -> JSON:
    """Scores lie under a thousandth, and are said to twelve digits."""
    return {
        "flagged": False,
        "categories": dict.fromkeys(CATEGORIES, False),
        "category_scores": {name: source.between(10**5, 10**9) / 10**12 for name in CATEGORIES},
        "category_applied_input_types": {name: _applied(name, kinds) for name in CATEGORIES},
    }


def _applied(category: str, kinds: tuple[str, ...]) -> list[str]:
    read = ("text", "image_url") if category in _PICTURES_TOO else ("text",)
    return [kind.removesuffix("_url") for kind in read if kind in kinds]
