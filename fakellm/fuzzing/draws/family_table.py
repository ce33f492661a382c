"""The options of every step that can be drawn, by family. Data only; `families` decides which apply to a completion.

A family is a key of `fakellm.fuzzing.tiers`. Its options are variations that take just this step, the plainest or most
revealing first.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from fakellm.apis.gemini.stream_keys import GeminiKeys
from fakellm.apis.messages.stream_keys import MessagesKeys
from fakellm.apis.ollama.stream_keys import OllamaKeys
from fakellm.apis.responses.spelling import ResponsesSpelling
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Calls, Padding, Spelling
from fakellm.wire.framing import Framing, Insert
from fakellm.wire.http.transfer import Transfer

Options = Sequence[Variation]

_PLACES: tuple[tuple[int, ...], ...] = ((1,), (0,), (2,), (3,), (5,), (0, 1, 2), (99,))


def _bytes(**fields: Any) -> Variation:
    return Variation(transfer=Transfer(**fields))


_SEPARATE_READS = 3
"""How many cuts are certain to be seen by any client; each costs 3 ms."""


def _cut(where: Any) -> Variation:
    return _bytes(cut=where, separate_reads=_SEPARATE_READS)


def _lines(**fields: Any) -> Variation:
    return Variation(sse=Framing(**fields))


def _inserts(*blocks: dict[str, Any]) -> Options:
    where: list[Any] = [*_PLACES, "every"]
    return tuple(_lines(insert=(Insert(before=before, **block),)) for before, block in product(where, blocks))


def _calls(field: str, *values: Any) -> dict[str, Options]:
    return {f"calls.{field}: {value}": (Variation(calls=Calls(**{field: value})),) for value in values}


def _unnumbered(index: Any) -> Variation:
    return Variation(split={"arguments": "whole"}, calls=Calls(index=index))


def _each(field: str, *values: Any) -> dict[str, Options]:
    return {f"{field}: {value}": (Variation(**{field: value}),) for value in values}


def _padding(**fields: Any) -> Options:
    befores = ("content", "delta", "finish", (0,), (1,), (99,))
    return tuple(Variation(padding=(Padding(before=before, **fields),)) for before in befores)  # type: ignore[arg-type] # a literal in a tuple is a str


_SILENT = ((Insert(before=(1,), comment="ping"),), (Insert(before=(2,)),), ())
_EXTRAS: tuple[dict[str, Any], ...] = (
    {"provider": "x"},
    {"x_groq": {"id": None}, "choice.x": [], "delta.x": "x", "call.x": {}, "piece.x": 1, "usage.x": None},
    {
        "p": [],
        "q": [{}, [[]], True, False, "", "\0\u2028"],
        "o": {"": -0.0},
        "n": [0, -1, 1.5, 1e-7, 1e300, 2**64],
        "é": 1,
    },
)
_LATE = '{"choices":[{"index":0,"delta":{"content":"late"},"finish_reason":"length"}]}'
_FILLED = ("content", "refusal", "reasoning")

ANY: dict[str, Options] = {
    "transfer.header_case": tuple(_bytes(header_case=how) for how in ("lower", "upper", "title")),
    "transfer.cut": tuple(_cut((offset,)) for offset in range(1, 500)),
    "transfer.cut: inside_characters": (_cut("inside_characters"),),
    "transfer.cut: inside_line_ends": (_cut("inside_line_ends"), _bytes(cut="inside_framing")),
    "transfer.coalesce": tuple(_bytes(coalesce=many) for many in ("all", 2)),
    "transfer.body": tuple(_bytes(body=how) for how in ("length", "close")),
    "transfer.gzip": (_bytes(gzip=True), _bytes(gzip="twice")),
    "transfer.gzip: members": (_bytes(gzip="members"),),
    "transfer.encoding": (_bytes(encoding="deflate"),),
    "transfer.chunks": (_bytes(chunks="extensions"), _bytes(chunks="zeros")),
    "transfer.head": tuple(_bytes(head=how) for how in ("bare", "padded", "interim")),
    "transfer.trailers": (_bytes(trailers={"Server-Timing": "total;dur=7"}),),
    "transfer.content_type": tuple(
        _bytes(content_type=kind)
        for kind in (
            "text/event-stream;charset=UTF-8",
            None,
            "Text/Event-Stream",
            'text/event-stream ; a="b;c"; charset="utf-8"',
        )
    ),
    # Not first, since the first families are drawn most: a thousand reads cost more than a hundred other cases.
    "transfer.cut: size": tuple(map(_cut, (1, 7, 64))),
    "sse.line_end": tuple(_lines(line_end=end) for end in ("crlf", "cr", "mixed")),
    "sse.space": (_lines(space=False), _lines(space="two")),
    "sse.alone": tuple(_lines(alone=(line,)) for line in ("retry", ": ping", "id", "event", "foo", ":")),
    "sse.bom": (_lines(bom=True),),
    # Numbered events, then a block without data: the id that still applies must not turn the block into an event.
    "sse.ids": tuple(_lines(ids=True, insert=silent) for silent in _SILENT),
    "sse.event": (_lines(event="message"),),
    "sse.fields": tuple(
        _lines(fields=fields)
        for fields in ({"foo": "bar"}, {"Data": "{}", "dataset": "{}"}, {"x-y": "", " data": "{}"})
    ),
    "sse.multiline": (_lines(multiline=True),),
    "sse.data_first": (_lines(data_first=True, event="message"),),
    "sse.insert: blank_line": (_lines(insert=(Insert(before=(0, 1)),)), *_inserts({})),
    "sse.insert: comment": _inserts(
        *({"comment": text} for text in ("", "ping", "OPENROUTER PROCESSING", f"data: {_LATE}", "[DONE]"))
    ),
    "sse.insert: id": _inserts({"id": "7"}, {"id": ""}, {"id": "7\0"}),
    "sse.insert: retry": _inserts({"retry": 1000}, {"retry": 0, "comment": "ping"}),
    "sse.insert: heartbeat": _inserts({"data": ""}),
    "sse.insert: event": _inserts(
        {"event": "x.progress", "data": '{"tool":"f"}'}, {"event": "ping"}, {"event": "ping", "data": ""}
    ),
    "sse.after": tuple(_lines(after=after) for after in ((_LATE,), ("[DONE]",), ("{}", "after"))),
    "sse.ends_with": tuple(_lines(ends_with=end) for end in ("line_end", "nothing")),
    "spelling.ascii": (Variation(spelling=Spelling(ascii=True)),),
    "spelling.spaces": (Variation(spelling=Spelling(spaces=True)),),
    "spelling.html": (Variation(spelling=Spelling(html=True)),),
    "spelling.floats: decimal": (Variation(spelling=Spelling(floats="decimal")),),
    "spelling.escapes": tuple(Variation(spelling=Spelling(escapes=how)) for how in ("slashes", "long")),
    "spelling.order": tuple(Variation(spelling=Spelling(order=order)) for order in ("sorted", "reversed")),
    "spelling.extra": tuple(Variation(spelling=Spelling(extra=extra)) for extra in _EXTRAS),
    "obfuscation": (Variation(obfuscation=True),),
    "unfinished": tuple(Variation(unfinished=how) for how in ("null", "absent")),
    **_each("unfinished", "empty"),
    "fill": tuple(
        Variation(fill={kind: {field: how}})  # type: ignore[dict-item] # a literal in a tuple is a str
        for how, kind, field in (
            *product(("null", "empty"), ("delta", "finish", "opening"), _FILLED),
            ("null", "delta", "role"),
        )
    ),
    "fill.tool_calls": tuple(
        Variation(fill={kind: {"tool_calls": how}})  # type: ignore[dict-item] # as above
        for how, kind in product(("empty", "null"), ("delta", "finish", "opening"))
    ),
    "padding": (*(Variation(padding=count) for count in (1, 3, 50)), *_padding(delta={"content": ""}), *_padding()),
    "padding: no_choices": _padding(choices=False),
    "padding: null_choices": (
        *_padding(choices="null"),
        *_padding(choices="absent"),
        Variation(padding=(Padding(before="end", choices=False),)),
    ),
    "padding: null_delta": _padding(chunk={"choices": [{"index": 0, "delta": None, "finish_reason": None}]}),
    "padding: no_delta": _padding(chunk={"choices": [{"index": 0, "finish_reason": None}]}),
    "role": tuple(Variation(role=role) for role in ("alone", "first", "call")),
    **_each("role", "every", "texts", "repeated", "never"),
    "finish": tuple(Variation(finish=finish) for finish in ("last", "call", "alone")),
    "finish: twice": tuple(Variation(finish=finish) for finish in ("twice", "early")),
    "done": (Variation(done=False), Variation(done=True)),
    **_each("id", "first_empty", "changing"),
    "ticks": tuple(Variation(ticks=ticks) for ticks in ((1,), (1, 2, 3))),
}


def _responses(field: str, *values: Any) -> dict[str, Options]:
    made = tuple(Variation(responses=ResponsesSpelling(**{field: value})) for value in values)
    return {f"responses.{field}": made}


def _gemini(field: str, *values: Any) -> dict[str, Options]:
    return {f"gemini.{field}": tuple(Variation(gemini=GeminiKeys(**{field: value})) for value in values)}


ELSEWHERE: dict[str, Options] = {
    "ollama.fraction": tuple(Variation(ollama=OllamaKeys(digits)) for digits in (0, 9, 3)),
    "messages.pads": tuple(
        Variation(messages=MessagesKeys(pads=pads)) for pads in ("0123456789abcdef" * 3, "f" * 40, "")
    ),
    "usage: own": (Variation(usage="own"),),
    **_responses("begins", ("created", "queued", "in_progress"), ("created",), ()),
    **_responses("whole", ("arguments",), ("content",), ("reasoning",), ("refusal",)),
    **_responses("output", False),
    **_responses("reasoning", "text", "part", "summary"),
    **_responses("numbers", "gaps", "absent"),
    **_responses("named", False),
    **_responses("events", ("*",), ("sequence_number", "type", "*")),
    **_gemini("index", False, True),
    **_gemini("role", "first", "last", "never"),
    **_gemini("bare", "text", "role", "empty", "null", "absent"),
    **_gemini("signature", "beside", "after"),
    **_gemini("call_ids", True, False),
    **_gemini("call_message", True, False),
    **_gemini("details", (), ("prompt", "candidates")),
    **_gemini("usage", {"serviceTier": "standard"}),
    **_gemini("between", {"trafficType": "ON_DEMAND"}, {}),
}
"""Keys that have no effect in chat, only in other APIs."""
CALLS: dict[str, Options] = {
    "calls.opening": tuple(Variation(calls=Calls(opening=opening)) for opening in ("piece", "alone")),
    "calls.opening: pair": (Variation(calls=Calls(opening="pair")),),
    "calls.arguments": tuple(Variation(calls=Calls(arguments=arguments)) for arguments in ("null", "absent")),
    **_calls("id", "repeated", "empty", "null"),
    **_calls("name", "repeated", "empty", "null"),
    "calls.name: late": tuple(Variation(calls=each) for each in (Calls(name="late"), Calls(id="late"))),
    **_calls("type", "repeated", "empty", "null"),
    # A call without an index to distinguish it is sent whole: nothing else would assign its pieces.
    "calls.index": tuple(_unnumbered(index) for index in ("absent", "null")),
    **_calls("index", "from_one"),
    **_each("finish", "calls"),
}
PARALLEL: dict[str, Options] = {
    "calls.index: zero": (_unnumbered("zero"),),
    "calls.order": (Variation(calls=Calls(order="reversed")),),
    "calls.before": tuple(Variation(calls=Calls(before=piece)) for piece in (0, 1)),
    "together: calls": (Variation(together=("calls",)),),
    "interleave: calls": (Variation(interleave="calls"),),
}
CHOICES: dict[str, Options] = {
    "together: choices": (Variation(together=("choices",)),),
    "interleave: choices": (Variation(interleave="choices"),),
    "interleave: both": (Variation(interleave="both"),),
    "interleave": (Variation(interleave="none"),),
    # The second choice starts, with one piece or with all of its pieces.
    "turns: choices": tuple(Variation(turns=(("choices[1]", many), ("choices[0]", 1))) for many in (2, 1, 99)),
}
REASONING: dict[str, Options] = {
    "reasoning": tuple(Variation(reasoning=key) for key in ("both", "reasoning", "reasoning_details")),
    **_each("reasoning", "thinking", "think"),
}
USAGE: dict[str, Options] = {
    "usage": tuple(Variation(usage=where) for where in ("finish", "every")),
    **_each("usage", "both", "after", "running", "none"),
    "usage_before": tuple(Variation(usage_before=how) for how in ("null", "absent")),
    "usage_before: empty": (
        Variation(usage_before="empty"),
        Variation(usage_before="zeros"),
        *(Variation(usage_choices=how) for how in ("absent", "null")),
    ),
}
