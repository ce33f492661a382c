"""Infers how a recorded response is spelled, and which values were drawn for it: the inverse of writing.

Everything is compared with what OpenAI's usual habits give, so that only what differs is kept: the order of keys of
each kind of object, constants, ids, times and ciphertexts. Knows no provider.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from fakellm.apis.protocol import Values
from fakellm.apis.responses.dialects.providers import OPENAI
from fakellm.apis.responses.habits import Habits, settings
from fakellm.apis.responses.meaning import expressible
from fakellm.apis.responses.names import DONE
from fakellm.apis.responses.reading.observed import Observed, observed, same
from fakellm.apis.responses.reading.read import LIFECYCLE, read
from fakellm.apis.responses.requests.parse import parse
from fakellm.apis.responses.spelling import RecordedValues, ResponsesSpelling
from fakellm.apis.responses.writing.answering import Prepared, answer, usage_json
from fakellm.apis.responses.writing.whole import read_completion
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.errors import StreamError
from fakellm.base.json_text import JSON
from fakellm.model.blocks import Completion
from fakellm.model.fold import fold
from fakellm.model.request import Request
from fakellm.streaming.observe import renumbered
from fakellm.wire.http.transfer import Transfer
from fakellm.wire.sse import Event

_ENDS = ("response.completed", "response.incomplete", "response.failed")
_COMPUTED = ("id", "output", "usage")
"""The keys of a response object that are never constants."""


def infer(events: Sequence[Event]) -> tuple[Habits, Values]:
    """The habits and the drawn values of a recorded stream."""
    values = [value for event in events if (value := _object(event.data)) is not None]
    objects = observed(values)
    own = ResponsesSpelling(
        begins=_begins(values),
        named=None if any(event.event != "message" for event in events) or not events else False,
        numbers=None if any("sequence_number" in value for value in values) or not values else "absent",
        reasoning=_reasoning(values),
        orders=objects.orders() or None,
        constants=objects.constants() or None,
    )
    completion, _ = fold(renumbered(read(events)))
    found = _completed(own, completion, objects, _spelling([event.data for event in events]), _stream_values(values))
    habits, drawn = found
    variation = Variation(done=True) if any(event.data.strip() == "[DONE]" for event in events) else Variation()
    return replace(
        habits, done=variation.done is True, obfuscation=any("obfuscation" in each for each in values)
    ), drawn


def infer_whole(body: bytes) -> tuple[Habits, Values]:
    """The habits and the drawn values of a recorded body."""
    try:
        completion, _ = read_completion(body)
    except StreamError as error:
        raise ValueError(str(error)) from None
    value = json.loads(body)
    text = body.decode("utf-8", "replace")
    indented = text.lstrip().startswith("{\n")
    objects = observed([{"type": "", "response": value}])
    reasoning: Any = (
        "text" if any("content" in each for each in value["output"] if each.get("type") == "reasoning") else None
    )
    own = ResponsesSpelling(
        indent=indented, reasoning=reasoning, orders=objects.orders() or None, constants=objects.constants() or None
    )
    escaped = "\\u" in text or (indented and text.isascii())
    spelling = Spelling(
        ascii=escaped or None, spaces=(not indented and text.startswith('{"') and '": ' in text) or None
    )
    habits, drawn = _completed(own, completion, objects, spelling, RecordedValues())
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    margins = (text[:start], text[end:])
    return replace(habits, margins=None if margins == ("", "") else margins), drawn


def block(habits: Habits) -> tuple[str | None, Variation]:
    """The dialect and the `stream:` block that have these habits."""
    spelling = habits.spelling
    spelled = Spelling(ascii=spelling.ascii or None, html=spelling.html or None, spaces=spelling.spaces or None)
    if spelling.floats == "decimal":
        spelled = replace(spelled, floats="decimal")
    variation = Variation(
        done=habits.done or None,
        obfuscation=habits.obfuscation,
        spelling=None if spelled == Spelling() else spelled,
        transfer=Transfer(margins=habits.margins) if habits.margins else None,
        responses=None if habits.own == ResponsesSpelling() else habits.own,
    )
    return None if habits.dialect.name == "openai" else habits.dialect.name, variation


def _completed(
    own: ResponsesSpelling, completion: Completion, objects: Observed, spelling: Spelling, recorded: RecordedValues
) -> tuple[Habits, Values]:
    """The habits with what only comparing with a rendered answer shows: its objects and its items."""
    response = objects.responses[max(objects.responses, default="")] if objects.responses else {}
    for at in ("completed", "incomplete", "", "in_progress", "created"):
        if at in objects.responses:
            response = objects.responses[at]
            break
    when = response.get("completed_at")
    recorded = replace(
        recorded, ids=tuple(objects.ids()), completed_at=when if isinstance(when, (int, float)) and when else None
    )
    drawn = _drawn(response)
    output = response.get("output") != [] or not any(at for at in objects.items if at.endswith(f"@{DONE}"))
    own = replace(own, recorded=recorded, output=None if output else False)
    habits = _habits(own, spelling)
    prepared = _prepared(completion, habits, drawn)
    items = _differing_items(prepared, objects)
    recorded = replace(recorded, items=items)
    own = replace(own, recorded=None if recorded == RecordedValues() else recorded)
    constants = dict(own.constants or {})
    constants.update(_usage_constants(completion, response, habits))
    constants.update(_differing_responses(prepared, objects))
    own = replace(own, constants=constants or None)
    return _habits(own, spelling), drawn


def _habits(own: ResponsesSpelling, spelling: Spelling) -> Habits:
    return settings(Variation(responses=own, spelling=spelling), OPENAI, True, True).habits


def _request(model: str) -> Request:
    return parse(json.dumps({"model": model or "m", "input": ""}).encode())


def _prepared(completion: Completion, habits: Habits, drawn: Values) -> Prepared:
    """What an answer with this completion contains."""
    meant = expressible(completion, habits)
    found: Prepared = answer(meant, _request(str(drawn.get("model", ""))), habits, 0, drawn).drawn["response"]
    return found


def _drawn(response: JSON) -> dict[str, Any]:
    """The values around the completion."""
    found: dict[str, Any] = {}
    for name, key, kind in (("id", "id", str), ("created", "created_at", int), ("model", "model", str)):
        if isinstance(response.get(key), kind) and response[key]:
            found[name] = response[key]
    return found


def _stream_values(values: Sequence[JSON]) -> RecordedValues:
    """The padding of events, and the number of the first one."""
    padding = {
        number: value["obfuscation"] for number, value in enumerate(values) if isinstance(value.get("obfuscation"), str)
    }
    first = values[0].get("sequence_number") if values else None
    return RecordedValues(obfuscation=padding, first=first if isinstance(first, int) and first > 0 else 0)


def _differing_items(prepared: Prepared, objects: Observed) -> dict[str, JSON]:
    """What items have at a place, where that is not what a rendered one has."""
    found: dict[str, JSON] = {}
    for place, item in objects.items.items():
        number, _, at = place.partition("@")
        if int(number) < len(prepared.items):
            made = getattr(prepared.items[int(number)], at)
            different = {key: value for key, value in item.items() if key not in made or not same(value, made[key])}
            if different and item.get("type") == made.get("type", item.get("type")):
                found[place] = different
    return found


def _usage_constants(completion: Completion, response: JSON, habits: Habits) -> dict[str, JSON]:
    """What the usage has beside the counts."""
    usage = response.get("usage")
    made = usage_json(completion.usage, habits)
    if not isinstance(usage, dict) or made is None:
        return {}
    found = {}
    extra = {key: value for key, value in usage.items() if key not in made}
    if extra:
        found["usage"] = extra
    for name in ("input_tokens_details", "output_tokens_details"):
        inner = usage.get(name)
        if isinstance(inner, dict) and (extra := {key: each for key, each in inner.items() if key not in made[name]}):
            found[name] = extra
    return found


def _differing_responses(prepared: Prepared, objects: Observed) -> dict[str, JSON]:
    """The constants of the response objects: those of all of them, and those of one event."""
    different: dict[str, JSON] = {}
    for at, response in objects.responses.items():
        made = prepared.states.get(at, prepared.final)
        different[at] = {
            key: value
            for key, value in response.items()
            if key not in _COMPUTED and (key not in made or not same(value, made[key]))
        }
    places = list(different)
    if not places:
        return {}
    first = different[places[0]]
    common = {
        key: value
        for key, value in first.items()
        if all(key in different[at] and same(different[at][key], value) for at in places)
    }
    found = {"response": common} if common else {}
    for at in places:
        rest = {key: value for key, value in different[at].items() if key not in common}
        if rest:
            found[f"response@{at or str(objects.responses[at].get('status'))}"] = rest
    return found


def _begins(values: Sequence[JSON]) -> tuple[Any, ...] | None:
    found: list[str] = []
    for value in values:
        if value.get("type") not in LIFECYCLE:
            break
        found.append(value["type"].removeprefix("response."))
    return None if found == ["created", "in_progress"] else tuple(found)


def _reasoning(values: Sequence[JSON]) -> Any:
    kinds = {str(value.get("type")) for value in values}
    if "response.reasoning_part.added" in kinds:
        return "part"
    shown = any(
        isinstance(item := value.get("item"), dict) and item.get("type") == "reasoning" and item.get("content")
        for value in values
    )
    return "text" if shown or any(kind.startswith("response.reasoning_text") for kind in kinds) else None


def _spelling(texts: Sequence[str]) -> Spelling:
    """What only the text of the JSON shows."""
    values = [text for text in texts if text.startswith("{")]
    plain = [json.dumps(value, ensure_ascii=False) for text in values if (value := _object(text)) is not None]
    return Spelling(
        ascii=(all(map(str.isascii, values)) and not all(map(str.isascii, plain))) or None,
        html=any(escape in text for text in values for escape in ("\\u003c", "\\u003e", "\\u0026")) or None,
        floats="decimal" if any(_SMALL.search(text) for text in values) else None,
        spaces=(bool(values) and all(text.partition(":")[2].startswith(" ") for text in values)) or None,
    )


_SMALL = re.compile(r"[:, \[]-?0\.0000\d+[,}\]]")
"""A small number that Python writes with an exponent."""


def _object(text: str) -> JSON | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
