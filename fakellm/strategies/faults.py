"""Draws of how a reply goes wrong."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from hypothesis import strategies as st

from fakellm.completion import Completion
from fakellm.faults import Break, Drip, Eof, Fault, Repeat, Stall, Stream, Swap
from fakellm.strategies.profiles import excludes
from fakellm.tiers import step_of

UNSEEN = (Repeat, Swap, Stream)
"""Faults that no client can tell from a sound stream, or that strike none."""
PATIENT = (Stall, Drip)
"""Faults that take as long as a client is patient."""

_PLACES = st.integers(0, 5) | st.integers(-5, -1)

# The keys of faults by their names; what stands in none is left as it is, and what a fault leaves open the seed draws.
_FAULT_KEYS: dict[str, st.SearchStrategy[Any]] = {
    "times": st.none() | st.integers(1, 3),
    "after": st.integers(0, 2),
    "status": st.sampled_from((200, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)),
    "retry_after": st.none() | st.sampled_from((0, 0.01, -1, "abc", "Wed, 21 Oct 2015 07:28:00 GMT")),
    "shape": st.sampled_from((None, "data", "chunk", "event", "message", "text", "line")),
    "done": st.sampled_from((None, True, False)),
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


def failures(completion: Completion, exclude: tuple[str, ...] = ()) -> st.SearchStrategy[Fault]:
    """Faults that a client must not pass over, from the first attempt on, and none that waits for its patience to end.

    `exclude`: kinds to leave out, or shapes of an error: `error: line`.
    """
    most = max((len(choice.tool_calls) for choice in completion.choices), default=0)
    kinds = [kind for kind in get_args(Fault) if kind not in (*UNSEEN, *PATIENT) and kind.calls <= most]
    kept = [kind for kind in kinds if not excludes(exclude, kind.__struct_config__.tag)]
    drawn = st.one_of(*(_fault(kind) for kind in kept)).map(lambda fault: msgspec.structs.replace(fault, after=0))
    return drawn.filter(lambda fault: not excludes(exclude, step_of(fault).name)) if exclude else drawn


def _fault(kind: type[Any]) -> st.SearchStrategy[Any]:
    keys = {name: draw for name, draw in _FAULT_KEYS.items() if name in kind.__struct_fields__}
    if not issubclass(kind, Break):
        return st.builds(kind, **keys)
    del keys["frame"]  # one place at most
    ats = ("headers",) if issubclass(kind, Drip | Eof) else ("start", "headers")
    places = {"at": st.sampled_from(ats), "frame": _PLACES, "byte": _PLACES}
    return st.one_of(st.builds(kind, **keys), *(st.builds(kind, **keys, **{at: draw}) for at, draw in places.items()))
