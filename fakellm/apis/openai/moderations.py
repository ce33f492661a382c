"""`POST /v1/moderations`: nothing is ever flagged, and the low scores come from the seed. Knows no rules.

https://platform.openai.com/docs/api-reference/moderations/create
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from msgspec import Struct

from fakellm.apis.openai.request_body import empty_array, invalid_type, typed
from fakellm.base.budget import BUDGET, exceeded
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM, Source
from fakellm.model.request import digest

_TEXT_ONLY = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "sexual/minors",
)
_IMAGES_TOO = ("self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "violence", "violence/graphic")
CATEGORIES = tuple(sorted((*_TEXT_ONLY, *_IMAGES_TOO)))


class ModerationPart(Struct, frozen=True):
    """A part of an input: a text or an image."""

    type: Literal["text", "image_url"]
    text: str | None = None
    image_url: dict[str, Any] | None = None


class Moderations(Struct, frozen=True):
    """The body of `POST /v1/moderations`, typed."""

    input: str | tuple[str | ModerationPart, ...]
    model: str = "omni-moderation-latest"


def milliseconds(data: bytes) -> float:
    """At most how long the reply to a body takes, roughly."""
    return (data.count(b",") + 1) * 0.08


def moderations(data: bytes, seed: int) -> tuple[JSON, JSON]:
    """The reply to a body, and the parsed body: one result for each text, or one for all parts. Raises RequestError."""
    request, body = typed(data, Moderations)
    if request.input == ():
        raise empty_array("input")
    inputs = (request.input,) if isinstance(request.input, str) else request.input
    if len(inputs) > BUDGET.inputs:
        raise exceeded("inputs", "input")
    parts = [each for each in inputs if isinstance(each, ModerationPart)]
    if parts and len(parts) < len(inputs):
        raise invalid_type("input", "expected only strings or only parts")
    kinds = [tuple(dict.fromkeys(part.type for part in parts))] if parts else [("text",)] * len(inputs)
    source = Source(seed, "moderation", digest(body))
    results = [source.draw(("result", number), partial(_result, each)) for number, each in enumerate(kinds)]
    name = "modr-" + source.draw("id", lambda each: each.text(ALNUM, 29))
    return {"id": name, "model": request.model, "results": results}, body


def _result(kinds: tuple[str, ...], source: Source) -> JSON:
    """One result; its scores are below a thousandth, with twelve digits."""
    return {
        "flagged": False,
        "categories": dict.fromkeys(CATEGORIES, False),
        "category_scores": {name: source.draw(name, _score) for name in CATEGORIES},
        "category_applied_input_types": {name: _applied(name, kinds) for name in CATEGORIES},
    }


def _score(source: Source) -> float:
    return source.between(10**5, 10**9) / 10**12


def _applied(category: str, kinds: tuple[str, ...]) -> list[str]:
    judged = ("text", "image_url") if category in _IMAGES_TOO else ("text",)
    return [kind.removesuffix("_url") for kind in judged if kind in kinds]
