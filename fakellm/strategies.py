"""Hypothesis draws of the package's own values: completions, variations, faults, and scenarios to serve.

Builds nothing of its own: what is drawn is what YAML says and what a counterexample prints, and all of it shrinks
towards the shortest texts on the plain wire.
"""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import strategies as st
from msgspec import UNSET

from fakellm.completion import Choice, Completion, ToolCall, Usage
from fakellm.cuts import Cut
from fakellm.dialects import DIALECTS
from fakellm.faults import Break, Drip, Eof, Fault
from fakellm.framing import Framing, Insert
from fakellm.scenario import Rule, Scenario, reply_of
from fakellm.transfer import Transfer
from fakellm.variation import Calls, Padding, Spelling, Variation

# Texts that real clients have stumbled over: they look like the framing, or are cut where they must not be.
_AWKWARD = (
    "data: {}\n\n",
    "[DONE]",
    ": ping",
    "event: error",
    "\r\n",
    "\u2028",
    "\x85",
    "\ufeff",
    "👩\u200d🚀",
    "e\u0301",
    "<think>",
    "\\",
    '\\"',
    '{"a": 9007199254740993}',
)

_TEXTUAL = sorted(name for name, dialect in DIALECTS.items() if dialect.usual.reasoning != "thinking")


def texts() -> st.SearchStrategy[str]:
    """Texts of any characters but lone surrogates, with pieces in them that clients stumble over."""
    return st.lists(st.text(max_size=8) | st.sampled_from(_AWKWARD), max_size=4).map("".join)


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    """Completions of one to three choices: any text, reasoning, refusal, parallel tool calls, with or without usage."""
    return Completion(
        id=draw(st.text(min_size=1, max_size=8)),
        created=draw(st.integers(1, 2**33)),
        model=draw(st.text(min_size=1, max_size=8)),
        choices=tuple(draw(st.lists(_choices(), min_size=1, max_size=3))),
        usage=draw(st.none() | _usages()),
        system_fingerprint=draw(st.none() | st.text(min_size=1, max_size=8)),
    )


def _choices() -> st.SearchStrategy[Choice]:
    return st.builds(
        Choice,
        content=texts(),
        reasoning=texts(),
        refusal=texts(),
        tool_calls=st.lists(_calls(), max_size=3).map(tuple),
        finish_reason=st.sampled_from(("stop", "tool_calls", "length", "content_filter", None)),
    )


def _calls() -> st.SearchStrategy[ToolCall]:
    arguments = st.sampled_from(("{}", '{"a":2,"b":3}', "")) | texts()
    return st.builds(ToolCall, st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8), arguments)


def _usages() -> st.SearchStrategy[Usage]:
    counts = st.integers(0, 2**40)
    return st.builds(Usage, prompt=counts, completion=counts, cached=counts, reasoning=counts)


def _maybe(*values: Any) -> st.SearchStrategy[Any]:
    """One of the values, or nothing: what it shrinks to."""
    return st.sampled_from((None, *values))


@st.composite
def variations(draw: st.DrawFn, completion: Completion, strict_sse: bool = False) -> Variation:
    """Ways to say, frame and send `completion` that every client must read the same; cuts lie inside its texts.

    Contested shapes (`surrogates`, an index of `zero`, `thinking` within the content) are left out. `strict_sse`: as in
    `framings`. Shrinks to
    ``Variation()``.
    """
    parts = {address: text for address, text in _parts(completion) if text}
    cuts = {address: cut for address, text in parts.items() if (cut := draw(st.none() | _cuts(text))) is not None}
    sse = draw(st.none() | framings(strict_sse))
    return Variation(
        padding=draw(st.none() | st.integers(0, 3) | st.lists(_paddings(), min_size=1, max_size=2).map(tuple)),
        split=cuts or None,
        role=draw(_maybe("alone", "first", "call", "every", "texts", "repeated", "never")),
        together=draw(_maybe(("choices",), ("calls",), ("parts",), ("choices", "calls", "parts"))),
        interleave=draw(_maybe("none", "choices", "calls", "both")),
        calls=draw(st.none() | _call_habits(completion)),
        reasoning=draw(_maybe("reasoning_content", "reasoning", "both", "reasoning_details")),
        fill=draw(st.none() | _fills()),
        finish=draw(_maybe("alone", "last", "call", "twice")),
        unfinished=draw(_maybe("null", "absent", "empty")),
        usage=draw(_maybe("own", "finish", "both", "after", "every", "running")),
        usage_before=draw(_maybe("absent", "null")),
        done=draw(_maybe(True, False)) if sse is None or not sse.after else None,
        id=draw(_maybe("constant", "first_empty", "changing")),
        ticks=draw(st.none() | st.lists(st.integers(1, 9), max_size=2).map(tuple)),
        spelling=draw(st.none() | _spellings()),
        obfuscation=draw(_maybe(True, False)),
        sse=sse,
        transfer=draw(st.none() | transfers()),
    )


@st.composite
def framings(draw: st.DrawFn, strict_sse: bool = False) -> Framing:
    """Ways to frame events. Shrinks to ``Framing()``.

    With `strict_sse` all that the standard allows; without, only what the official OpenAI SDK for Python reads (3.54).
    That stumbles over a byte order mark, over empty data, over `retry:` or `id:` alone and, once it has seen an `id:`,
    over any block without data, and takes events of unknown types for chunks (openai-python#2722, #3833, PR 3819).
    """
    after = tuple(draw(st.lists(texts(), max_size=2)))
    return Framing(
        line_end=draw(st.sampled_from(("lf", "cr", "crlf", "mixed"))),
        space=draw(_ON),
        bom=strict_sse and draw(st.booleans()),
        ids=strict_sse and draw(st.booleans()),
        event=draw(st.sampled_from((None, "message"))),
        fields=draw(st.dictionaries(st.sampled_from(("foo", "Data", "x-y")), _LINES, max_size=2)),
        multiline=draw(st.booleans()),
        insert=tuple(draw(st.lists(_inserts(strict_sse), max_size=3))),
        after=after,
    )


_ON = st.sampled_from((True, False))  # shrinks to True
_LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8)


def _inserts(strict_sse: bool) -> st.SearchStrategy[Insert]:
    before = st.lists(st.integers(0, 12), min_size=1, max_size=3).map(tuple) | st.just("every")
    comments = st.none() | _LINES | st.just("OPENROUTER PROCESSING")
    if not strict_sse:
        return st.builds(Insert, before=before, comment=comments)
    ids, retries = st.none() | _LINES, st.none() | st.integers(0, 9999)
    silent = st.builds(Insert, before=before, comment=comments, id=ids, retry=retries, data=st.sampled_from((None, "")))
    events = st.sampled_from(("ping", "x.progress"))
    return silent | st.builds(Insert, before=before, event=events, data=st.none() | texts())


def transfers() -> st.SearchStrategy[Transfer]:
    """Ways to send bytes. Shrinks to ``Transfer()``."""
    places = st.lists(st.integers(1, 999), min_size=1, max_size=4, unique=True).map(lambda cut: tuple(sorted(cut)))
    numbers = st.none() | st.integers(1, 9) | places
    names = st.sampled_from(("inside_characters", "inside_line_ends"))
    kinds = ("text/event-stream;charset=UTF-8", "Text/Event-Stream", None)
    return st.booleans().flatmap(
        lambda gzip: st.builds(
            Transfer,
            cut=numbers if gzip else numbers | names,  # a compressed body has no characters
            coalesce=st.sampled_from((1, 2, 3, "all")),
            body=st.sampled_from((None, "chunked", "length", "close")),
            gzip=st.just(gzip),
            header_case=st.sampled_from((None, "lower", "title", "upper")),
            content_type=st.sampled_from((UNSET, *kinds)),
        )
    )


def _parts(completion: Completion) -> list[tuple[str, str]]:
    """The texts of a completion by their addresses."""
    found = []
    for index, choice in enumerate(completion.choices):
        place = f"choices[{index}]." if index else ""
        found += [(f"{place}{name}", getattr(choice, name)) for name in ("content", "reasoning", "refusal")]
        calls = enumerate(choice.tool_calls)
        found += [(f"{place}tool_calls[{number}].arguments", call.arguments) for number, call in calls]
    return found


def _cuts(text: str) -> st.SearchStrategy[Cut]:
    offsets = st.lists(st.integers(1, len(text)), min_size=1, max_size=4, unique=True).map(
        lambda cut: tuple(sorted(cut))
    )
    named: st.SearchStrategy[Cut] = st.sampled_from(("whole", "tokens", "words", "characters", "random"))
    return named | st.integers(1, 5) | offsets


def _paddings() -> st.SearchStrategy[Padding]:
    deltas: list[dict[str, Any]] = [{}, {"content": ""}, {"content": None}, {"reasoning": ""}, {"role": "assistant"}]
    return st.builds(
        Padding,
        count=st.integers(1, 3),
        before=st.sampled_from(("content", "delta", "finish"))
        | st.lists(st.integers(0, 9), min_size=1, max_size=2).map(tuple),
        delta=st.sampled_from(deltas),
        choices=st.booleans().map(lambda empty: not empty),
    )


@st.composite
def _call_habits(draw: st.DrawFn, completion: Completion) -> Calls:
    # Without an index a call is known by its id, so the ids must differ and each piece must carry one.
    ids = [call.id for choice in completion.choices for call in choice.tool_calls]
    numbered = len(set(ids)) < len(ids) or draw(st.booleans().map(lambda rare: not rare))
    return Calls(
        opening=draw(_maybe("alone", "piece", "pair")),
        arguments=draw(_maybe("empty", "null", "absent")),
        id=draw(_maybe("once", "repeated", "empty", "null")) if numbered else "repeated",
        name=draw(_maybe("once", "repeated", "empty", "null", "late")),
        type=draw(_maybe("once", "repeated", "empty", "null")),
        index=draw(_maybe("given", "from_one") if numbered else st.sampled_from(("absent", "null"))),
        order=draw(_maybe("given", "reversed")) if numbered else None,
    )


def _fills() -> st.SearchStrategy[dict[Any, Any]]:
    fields = st.sampled_from(("content", "reasoning", "refusal", "tool_calls"))
    habits = st.dictionaries(fields, st.sampled_from(("empty", "null", "text")), max_size=2)
    return st.dictionaries(st.sampled_from(("opening", "delta", "finish")), habits, max_size=2)


def _spellings() -> st.SearchStrategy[Spelling]:
    return st.builds(
        Spelling,
        ascii=_maybe(True, False),
        spaces=_maybe(True, False),
        order=_maybe("usual", "sorted", "reversed"),
        extra=_maybe({}, {"provider": "x"}, {"x_groq": {"id": None}}),
    )


@st.composite
def streams(draw: st.DrawFn, dialect: str | None = None, strict_sse: bool = False) -> Scenario:
    """Scenarios of one rule that answers any request: a completion and a variation of it, in one dialect or any.

    `strict_sse`: as in `framings`, whose default is what the official OpenAI SDK reads. A dialect that sends its
    reasoning within the content is drawn only by its name: its clients read lists.

    Put one into a server with `load`, let a client read it, and compare with `scenario.rules[0].reply`. Printed with
    ``fakellm.dump`` it is a file for ``scenarios/``.
    """
    completion = draw(completions())
    rule = Rule(reply=reply_of(completion), stream=draw(variations(completion, strict_sse)))
    return Scenario(name="drawn", dialect=dialect or draw(st.sampled_from(_TEXTUAL)), rules=(rule,))


_PLACES = st.integers(0, 5) | st.integers(-5, -1)

# The keys of faults by their names; what stands in none is left as it is, and what a fault leaves open the seed draws.
_FAULT_KEYS: dict[str, st.SearchStrategy[Any]] = {
    "times": st.none() | st.integers(1, 3),
    "after": st.integers(0, 2),
    "status": st.sampled_from((200, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)),
    "retry_after": st.none() | st.sampled_from((0, 0.01, -1, "abc", "Wed, 21 Oct 2015 07:28:00 GMT")),
    "shape": st.sampled_from(("data", "chunk", "event", "message", "text", "line")),
    "done": st.sampled_from((True, False)),
    "keep": st.none() | _PLACES,
    "chunk": st.none() | _PLACES,
    "frame": st.none() | _PLACES,
    "count": st.integers(0, 3),
    "content_type": st.none() | st.sampled_from(("text/plain", "text/html", "application/json")),
    "more": st.integers(1, 9),
    "every": st.just(0.01),
    "seconds": st.just(0.01),
}


def faults(completion: Completion | None = None) -> st.SearchStrategy[Fault]:
    """Faults of every kind, or of those that `completion` has the tool calls for. Shrinks towards the first kinds of
    ``fakellm.faults.Fault``, early places, and a fault that every attempt meets.

    Waits are of a hundredth of a second.
    """
    most = None if completion is None else max((len(choice.tool_calls) for choice in completion.choices), default=0)
    return st.one_of(*(_fault(kind) for kind in get_args(Fault) if most is None or kind.calls <= most))


def _fault(kind: type[Any]) -> st.SearchStrategy[Any]:
    keys = {name: draw for name, draw in _FAULT_KEYS.items() if name in kind.__struct_fields__}
    if not issubclass(kind, Break):
        return st.builds(kind, **keys)
    del keys["frame"]  # one place at most
    ats = ("headers",) if issubclass(kind, Drip | Eof) else ("start", "headers")
    places = {"at": st.sampled_from(ats), "frame": _PLACES, "byte": _PLACES}
    return st.one_of(st.builds(kind, **keys), *(st.builds(kind, **keys, **{at: draw}) for at, draw in places.items()))
