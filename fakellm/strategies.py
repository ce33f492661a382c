"""Hypothesis draws of the package's own values: completions, variations, faults, and scenarios to serve.

Builds nothing of its own: what is drawn is what YAML says and what a counterexample prints, and all of it shrinks
towards the shortest texts on the plain wire.
"""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import strategies as st

from fakellm.completion import Choice, Completion, ToolCall, Usage
from fakellm.dialects import DIALECTS
from fakellm.faults import Break, Drip, Eof, Fault
from fakellm.scenario import Rule, Scenario, reply_of
from fakellm.variation import Cut, Variation

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


@st.composite
def variations(draw: st.DrawFn, completion: Completion) -> Variation:
    """Ways to divide `completion`; cuts lie inside its texts. Shrinks to ``Variation()``."""
    parts = {address: text for address, text in _parts(completion) if text}
    cuts = {address: cut for address, text in parts.items() if (cut := draw(st.none() | _cuts(text))) is not None}
    return Variation(
        padding=draw(st.none() | st.integers(0, 3)),
        split=cuts or None,
        role=draw(st.sampled_from((None, "alone", "first", "call"))),
        interleave=draw(st.sampled_from((None, "none", "choices", "calls", "both"))),
        ticks=draw(st.none() | st.lists(st.integers(1, 9), max_size=2).map(tuple)),
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
    named: st.SearchStrategy[Cut] = st.sampled_from(("whole", "tokens", "characters"))
    return named | st.integers(1, 5) | offsets


@st.composite
def streams(draw: st.DrawFn, dialect: str | None = None) -> Scenario:
    """Scenarios of one rule that answers any request: a completion and a variation of it, in one dialect or any.

    Put one into a server with `load`, let a client read it, and compare with `scenario.rules[0].reply`. Printed with
    ``fakellm.dump`` it is a file for ``scenarios/``.
    """
    completion = draw(completions())
    rule = Rule(reply=reply_of(completion), stream=draw(variations(completion)))
    return Scenario(name="drawn", dialect=dialect or draw(st.sampled_from(sorted(DIALECTS))), rules=(rule,))


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
