"""Infers the habits of recorded frames, and the values that were drawn for them: the inverse of `write`.

The dialect is the one whose keys the frames have; what differs from its habits is a key of the `stream:` block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from fakellm.apis.gemini.frames.parts import CALL_KEYS
from fakellm.apis.gemini.frames.read import values_in
from fakellm.apis.gemini.frames.usage import counts
from fakellm.apis.gemini.frames.whole import MARGINS
from fakellm.apis.gemini.frames.write import CALLED
from fakellm.apis.gemini.habits import AI_STUDIO, KEYS, VERTEX, GeminiDialect, GeminiHabits, habits_of
from fakellm.apis.gemini.stream_keys import GeminiKeys
from fakellm.apis.protocol import Values
from fakellm.apis.variation import PLAIN, Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.json_text import indented, spelled
from fakellm.wire.http.transfer import Transfer

_STYLES = [
    Spelling(spaces=spaces, html=html, ascii=escapes)
    for spaces in ("colons", False, True)
    for html in ("angles", False, True)
    for escapes in (False, True)
]
_CONSTANTS = ("trafficType", "serviceTier")
_DRAWN = (("id", "responseId"), ("model", "modelVersion"))


def usual_habits(dialect: GeminiDialect) -> GeminiHabits:
    """The habits of a dialect."""
    return habits_of(dialect.usual.over(PLAIN), dialect)


def infer(frames: Sequence[dict[str, Any]], texts: Sequence[str]) -> tuple[GeminiHabits, Values]:
    """The habits and the drawn values of recorded frames. `texts`: their JSON."""
    candidates = [each for frame in frames for each in _objects(frame.get("candidates"))]
    contents = [each["content"] for each in candidates if isinstance(each.get("content"), dict)]
    usages = [each["usageMetadata"] for each in frames if isinstance(each.get("usageMetadata"), dict)]
    vertex = any("createTime" in frame for frame in frames) or any("trafficType" in usage for usage in usages)
    usual = usual_habits(VERTEX if vertex or _role(contents) == "first" else AI_STUDIO)
    found: dict[str, Any] = {
        "index": any("index" in each for each in candidates) if candidates else None,
        "role": _role(contents),
        "bare": next(_bares(candidates), None),
        "call_message": next(_call_messages(candidates), None),
        "enums": "numbers" if any(type(each.get("finishReason")) is int for each in candidates) else "names",
        **(_of_usage(usages) if usages else {}),
    }
    habits = replace(usual, **{name: value for name, value in found.items() if value is not None})
    habits = replace(habits, spelling=_spelling(habits, frames, usages, texts))
    drawn = {name: frames[0][key] for name, key in _DRAWN if frames and isinstance(frames[0].get(key), str)}
    return habits, {name: value for name, value in drawn.items() if value}


def infer_body(body: bytes) -> tuple[GeminiHabits, Values]:
    """The habits and the drawn values of a recorded body."""
    text = body.decode("utf-8", "replace")
    inner = text.strip(" \t\r\n")
    habits, drawn = infer(*frames_in([inner]))
    lines = inner.split("\n")
    before, _, after = text.partition(inner)
    return replace(
        habits,
        indent=min(len(lines[1]) - len(lines[1].lstrip(" ")), 8) if len(lines) > 1 else 0,
        margins=None if (before, after) == MARGINS else (before, after),
    ), drawn


def frames_in(texts: Iterable[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The frames among these texts, and the text of each."""
    frames, found = [], []
    for text in texts:
        with suppress(ValueError):
            value = values_in(text)
            if isinstance(value, dict) and "error" not in value:
                frames.append(value)
                found.append(text)
    return frames, found


def stream_of(habits: GeminiHabits) -> Variation:
    """The `stream:` block that gives these habits in their dialect."""
    usual = usual_habits(habits.dialect)
    keys = {name: getattr(habits, name) for name in KEYS if getattr(habits, name) != getattr(usual, name)}
    names = Spelling.__struct_fields__
    style = {
        name: getattr(habits.spelling, name)
        for name in names
        if getattr(habits.spelling, name) != getattr(usual.spelling, name)
    }
    return Variation(
        gemini=GeminiKeys(**keys) if keys else None,
        spelling=Spelling(**style) if style else None,
        transfer=Transfer(margins=habits.margins) if habits.margins else None,
    )


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _role(contents: Iterable[dict[str, Any]]) -> str | None:
    """Where the role stands in contents with parts."""
    for content in contents:
        if content.get("parts"):
            keys = list(content)
            return "never" if "role" not in keys else "first" if keys.index("role") < keys.index("parts") else "last"
    return None


def _bares(candidates: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The contents of candidates that finish without parts."""
    shown = {"{'role': 'model'}": "role", "{}": "empty", "None": "null"}
    for each in candidates:
        if each.get("finishReason") is not None:
            if "content" not in each:
                yield "absent"
            elif (content := each["content"]) and content.get("parts") == [{"text": ""}]:
                yield "text"
            elif repr(content) in shown:
                yield shown[repr(content)]


def _call_messages(candidates: Iterable[dict[str, Any]]) -> Iterator[bool]:
    """Whether frames with a call and a finish have Google's message."""
    for each in candidates:
        if each.get("finishReason") in ("STOP", 1) and '"functionCall"' in spelled(each.get("content"), Spelling()):
            yield each.get("finishMessage") == CALLED


def _of_usage(usages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The habits that token counts show."""
    counted = [usage for usage in usages if counts(usage)]
    others = [usage for usage in usages if not counts(usage)]
    last = counted[-1] if counted else {}
    names = {"prompt": "prompt", "cached": "cache", "candidates": "candidates"}
    totals = {"prompt": "promptTokenCount", "cached": "cachedContentTokenCount", "candidates": "candidatesTokenCount"}
    shown = tuple(name for name, key in names.items() if f"{key}TokensDetails" in last or not last.get(totals[name]))
    return {
        "details": shown,
        "usage": {key: last[key] for key in _CONSTANTS if key in last},
        "between": others[0] if others else None,
    }


def _spelling(
    habits: GeminiHabits, frames: Sequence[dict[str, Any]], usages: Sequence[dict[str, Any]], texts: Sequence[str]
) -> Spelling:
    """The spelling: the first style that gives these texts again, and the keys whose order or presence is unusual."""
    style = _style(habits.spelling, frames, texts)
    frame_keys = _order([list(frame) for frame in frames], habits.dialect.frame_keys)
    drawn = [key for key in habits.dialect.frame_keys[-3:] if key not in ("promptFeedback", "usageMetadata")]
    if frame_keys is None and frames and any(key not in frames[0] for key in drawn):
        frame_keys = tuple(dict.fromkeys(key for frame in frames for key in frame))
    if style.order == "sorted":
        return replace(style, keys=frame_keys and tuple(sorted(frame_keys)))
    calls = [list(call) for call in _calls(frames)]
    return replace(
        style,
        keys=frame_keys,
        usage_keys=_order([list(usage) for usage in usages], habits.dialect.usage_keys),
        call_keys=_order(calls, CALL_KEYS),
    )


def _style(usual: Spelling, frames: Sequence[dict[str, Any]], texts: Sequence[str]) -> Spelling:
    for each in _STYLES if frames else ():
        style = replace(usual, spaces=each.spaces, html=each.html, ascii=each.ascii)
        if all(_written(frame, text, style) for frame, text in zip(frames, texts, strict=True)):
            ordered = replace(style, order="sorted")
            alike = all(_written(frame, text, ordered) for frame, text in zip(frames, texts, strict=True))
            return ordered if alike else style
    return usual


def _calls(frames: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The function calls in these frames."""
    for frame in frames:
        for candidate in _objects(frame.get("candidates")):
            content = candidate.get("content")
            for part in _objects(content.get("parts")) if isinstance(content, dict) else ():
                if isinstance(part.get("functionCall"), dict):
                    yield part["functionCall"]


def _written(frame: dict[str, Any], text: str, style: Spelling) -> bool:
    """Whether a frame is written like this in a style, in one line or in many."""
    written = spelled(frame, style)
    first, _, rest = text.partition("\n")
    return text == (indented(written, len(rest) - len(rest.lstrip(" ")) or 1) if rest and first else written)


def _order(found: Iterable[list[str]], usual: tuple[str, ...]) -> tuple[str, ...] | None:
    """The order of the keys, if it is not the usual one; known keys come first."""
    found = list(found)
    for keys in found:
        if [key for key in usual if key in keys] + [key for key in keys if key not in usual] != keys:
            return tuple(sorted({key for each in found for key in each}, key=max(found, key=len).index))
    return None
