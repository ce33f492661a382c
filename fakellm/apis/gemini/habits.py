"""How Google spells frames, as data: the dialects, their usual keys, and the habits of one reply.

AI Studio (generativelanguage.googleapis.com) and Vertex AI (aiplatform.googleapis.com), as recorded from gemini-2.0 to
gemini-3.6 in 2025 and 2026. Both send key order and presence as their protos have them.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from fakellm.apis.gemini.stream_keys import Content, Detail, GeminiKeys
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.streaming.splitting import Cut
from fakellm.wire.framing import Framing


class GeminiDialect(Struct, frozen=True):
    """What a provider sends. `frame_keys`, `usage_keys`: in this order; `keys`: every key of GeminiKeys set."""

    name: str
    usual: Variation
    keys: GeminiKeys
    frame_keys: tuple[str, ...]
    usage_keys: tuple[str, ...]
    frames_type: str = "text/event-stream"
    body_type: str = "application/json; charset=UTF-8"


_USAGE = ("promptTokenCount", "candidatesTokenCount", "totalTokenCount", "cachedContentTokenCount")
_SPELLING = Spelling(spaces="colons", html="angles", floats="double")
_CRLF = Framing(line_end="crlf")
_SPLIT: dict[str, Cut] = {"content": 80, "reasoning": 400}

AI_STUDIO = GeminiDialect(
    name="ai-studio",
    usual=Variation(role="never", finish="last", usage="running", split=_SPLIT, spelling=_SPELLING, sse=_CRLF),
    keys=GeminiKeys(
        index=True,
        role="last",
        bare="text",
        details=("prompt", "cached"),
        usage={},
        between={},
        call_message=True,
        signature="after",
        call_ids=False,
        indent=2,
    ),
    frame_keys=("candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId"),
    usage_keys=(
        *_USAGE,
        "promptTokensDetails",
        "cacheTokensDetails",
        "candidatesTokensDetails",
        "toolUsePromptTokenCount",
        "toolUsePromptTokensDetails",
        "thoughtsTokenCount",
    ),
)
VERTEX = GeminiDialect(
    name="vertex",
    usual=Variation(
        role="never", finish="last", usage="finish", together=("calls",), split=_SPLIT, spelling=_SPELLING, sse=_CRLF
    ),
    keys=GeminiKeys(
        index=False,
        role="first",
        bare="role",
        details=("prompt", "cached", "candidates"),
        usage={"trafficType": "ON_DEMAND"},
        between={"trafficType": "ON_DEMAND"},
        call_message=False,
        signature="beside",
        call_ids=False,
        indent=2,
    ),
    frame_keys=("candidates", "promptFeedback", "usageMetadata", "modelVersion", "createTime", "responseId"),
    usage_keys=(
        *_USAGE,
        "trafficType",
        "promptTokensDetails",
        "cacheTokensDetails",
        "candidatesTokensDetails",
        "toolUsePromptTokensDetails",
        "toolUsePromptTokenCount",
        "thoughtsTokenCount",
    ),
)
DIALECTS = {each.name: each for each in (AI_STUDIO, VERTEX)}


class GeminiHabits(Struct, frozen=True):
    """The habits that GeminiKeys describes under the same names, and the spelling of the JSON.

    margins: the white space around a whole body, if it is not the provider's.
    array: whether a stream is one JSON array. thoughts: whether the request includes thoughts.
    """

    dialect: GeminiDialect = AI_STUDIO
    spelling: Spelling = _SPELLING
    index: bool = True
    role: Literal["first", "last", "never"] = "last"
    bare: Content = "text"
    details: tuple[Detail, ...] = ("prompt", "cached")
    usage: dict[str, Any] = {}
    between: dict[str, Any] = {}
    call_message: bool = True
    signature: Literal["beside", "after"] = "after"
    call_ids: bool = False
    enums: Literal["names", "numbers"] = "names"
    stream_args: bool = False
    indent: int = 2
    margins: tuple[str, str] | None = None
    array: bool = False
    thoughts: bool = False


_SPELLED = (
    *(
        "ascii",
        "html",
        "spaces",
        "floats",
        "escapes",
        "order",
        "keys",
        "choice_keys",
        "usage_keys",
        "call_keys",
        "extra",
    ),
)

STREAM_KEYS = frozenset(
    {
        *("padding", "split", "role", "together", "finish", "usage", "sse", "transfer", "score", "gemini"),
        *("turns", "interleave"),
        *(f"spelling.{key}" for key in _SPELLED),
    }
)
"""The keys of a `stream:` block that have an effect."""

KEYS = GeminiKeys.__struct_fields__


def habits_of(full: Variation, dialect: GeminiDialect, **requested: Any) -> GeminiHabits:
    """The habits of a variation in which everything is set but what only Gemini has. `requested`: those that a request
    sets, unless the variation does."""
    keys = full.gemini or GeminiKeys()
    chosen = {name: getattr(keys, name) for name in KEYS if getattr(keys, name) is not None}
    usual = {name: value for name in KEYS if (value := getattr(dialect.keys, name)) is not None}
    values = {**usual, **requested, **chosen}
    margins = full.transfer.margins if full.transfer else None
    return GeminiHabits(dialect=dialect, spelling=full.spelling or _SPELLING, margins=margins, **values)
