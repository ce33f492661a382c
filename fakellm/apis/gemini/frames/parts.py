"""The parts of a content as blocks, and blocks as parts. Knows no frames and no order between parts.

A part with `text` is a text, or with `thought: true` reasoning; one with `functionCall` is a tool call, whose arguments
are an object; every other part is opaque. Further keys of a part are the block's own; a signature of reasoning is its
field. A candidate and a frame have further keys too: those are opaque blocks under `candidate` and `response`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fakellm.apis.gemini.words import NAME
from fakellm.base.json_text import dumps
from fakellm.model.blocks import Block, Opaque, Text, Thinking, ToolCall, with_own

SIGNATURE = "thoughtSignature"
TEXT_SIGNATURE = f"own.{NAME}.{SIGNATURE}"
CALL_KEYS = ("name", "args", "id")
OUTSIDE = ("candidate", "response")
"""The keys of opaque blocks that are not parts."""

CANDIDATE_KEYS = (
    "finishMessage",
    "safetyRatings",
    "citationMetadata",
    "tokenCount",
    "groundingMetadata",
    "groundingAttributions",
    "avgLogprobs",
    "logprobsResult",
    "urlContextMetadata",
)
"""What a candidate may have beside its content, its finish and its index."""
RESPONSE_KEYS = ("promptFeedback", "modelStatus")
"""What a frame may have beside its candidates, its token counts and what is drawn."""

_DEEPEST = 100


def block_of(part: Any) -> Block:
    """The block that a whole part opens."""
    if not isinstance(part, dict):
        return Opaque(NAME, {"part": part})
    text, call = part.get("text"), part.get("functionCall")
    if isinstance(text, str) and part.get("thought", False) in (True, False):
        return _text(part, text)
    if isinstance(call, dict) and isinstance(call.get("name"), str) and isinstance(call.get("args", {}), dict):
        return _call(part, call)
    return Opaque(NAME, part)


def _text(part: dict[str, Any], text: str) -> Block:
    own = own_of_text(part)
    if part.get("thought") is True:
        return Thinking((text,) if text else (), (), own.pop(SIGNATURE, ""), with_own({}, NAME, own))
    return Text(text, own=with_own({}, NAME, own))


def _call(part: dict[str, Any], call: dict[str, Any]) -> Block:
    args = call.get("args", {})
    own = own_of_call(part | {"functionCall": {"args": None} | call}, not args)
    identifier = call.get("id")
    return ToolCall(
        identifier if identifier and isinstance(identifier, str) else None,
        call["name"],
        dumps(args),
        own=with_own({}, NAME, own),
    )


def own_of_text(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a text or a thought has beside them: further keys, and a signature that is not empty."""
    own = {key: value for key, value in values.items() if key not in ("text", "thought")}
    if not own.get(SIGNATURE) or not isinstance(own[SIGNATURE], str):
        own.pop(SIGNATURE, None)
    return own


def own_of_call(values: Mapping[str, Any], empty: bool) -> dict[str, Any]:
    """What the part of a call has beside it. Under `functionCall`, further keys of the call; `args` null: the call has
    no arguments on the wire, which only an `empty` object allows."""
    more = values.get("functionCall")
    more = {key: value for key, value in more.items() if key not in CALL_KEYS} if isinstance(more, dict) else {}
    if empty and isinstance(values.get("functionCall"), dict) and values["functionCall"].get("args", ...) is None:
        more["args"] = None
    own = {key: value for key, value in values.items() if key not in ("functionCall", "text")}
    return own | ({"functionCall": more} if more else {})


def object_of(arguments: str) -> dict[str, Any] | None:
    """The object that arguments are; None if they are not one that JSON can express."""
    try:
        value = json.loads(arguments, parse_constant=_refused, parse_float=_finite)
    except (TypeError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and not _deep(value, _DEEPEST) else None


def call_part(name: Any, identifier: Any, args: Any, own: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """The part of a function call; `args` None: it has none."""
    more = dict(own.get("functionCall") or {})
    no_args = more.pop("args", ...) is None
    values = {"name": name, "args": None if no_args else args, "id": identifier}
    call = {key: values[key] for key in keys if values.get(key) not in (None, "")}
    return {"functionCall": call | more} | {key: value for key, value in own.items() if key != "functionCall"}


def is_outside(block: Block) -> bool:
    """Whether a block is what a candidate or a frame has beside its parts."""
    if not isinstance(block, Opaque) or block.api != NAME or len(block.value) != 1:
        return False
    ((place, inner),) = block.value.items()
    return place in OUTSIDE and isinstance(inner, dict)


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise ValueError(f"{text} is too large")
    return value


def _refused(text: str) -> float:
    raise ValueError(f"JSON has no {text}")


def _deep(value: Any, left: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    items = value.values() if isinstance(value, dict) else value
    return left == 0 or any(_deep(item, left - 1) for item in items)
