"""Draws faults. Owns the values that the keys of a fault may have."""

from __future__ import annotations

from typing import Any, get_args

from fakellm.faults import Break, Drip, Eof, Fault, Repeat, Stall, Stream, Surplus, Swap
from fakellm.fuzzing.draws.picks import Picks
from fakellm.fuzzing.draws.steps import excludes
from fakellm.model.blocks import Completion

KINDS: tuple[type[Any], ...] = get_args(Fault)

UNDETECTABLE = (Repeat, Swap, Stream, Surplus)
"""Faults that a client cannot distinguish from a correct stream, that do not apply to streams, or that may break the
next reply."""
ENDLESS = (Stall, Drip)
"""Faults that last until the client gives up."""

_PLACES = (*range(6), *range(-1, -6, -1))

# The values to draw for each key. Other keys keep their default; what a fault leaves open, the seed draws when serving.
_KEYS: dict[str, tuple[Any, ...]] = {
    "times": (None, 1, 2, 3),
    "after": (0, 1, 2),
    "status": (200, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529),
    "retry_after": (None, 0, 0.01, -1, "abc", "Wed, 21 Oct 2015 07:28:00 GMT"),
    "shape": (None, "data", "chunk", "event", "message", "text", "line"),
    "done": (None, True, False),
    "keep": (None, *_PLACES),
    "chunk": (None, *_PLACES),
    "frame": (None, *_PLACES),
    "count": (0, 1, 2, 3),
    "content_type": (None, "text/plain", "text/html", "application/json"),
    "more": tuple(range(1, 10)),
    "every": (0.01,),
    "seconds": (0.01,),
}


def fault(picks: Picks, completion: Completion | None = None) -> Fault:
    """A fault of any kind, or of a kind that `completion` has enough tool calls for. Its waits last 0.01 s."""
    kind = picks.choice([kind for kind in KINDS if completion is None or kind.calls <= _calls(completion)])
    return _made(picks, kind, _KEYS)


def failure(picks: Picks, completion: Completion, exclude: tuple[str, ...] = ()) -> Fault | None:
    """A fault that a client must report, from the first attempt on, and that ends without the client giving up.

    exclude: kinds to leave out, or shapes of an error, such as `error: line`. None if no kind is left that applies to
    `completion`.
    """
    kinds = [kind for kind in KINDS if kind not in (*UNDETECTABLE, *ENDLESS) and kind.calls <= _calls(completion)]
    kept = [kind for kind in kinds if not excludes(exclude, kind.__struct_config__.tag)]
    shapes = tuple(shape for shape in _KEYS["shape"] if not excludes(exclude, f"error: {shape}"))
    if len(shapes) < len(_KEYS["shape"]):  # with no shape set, the dialect's own might be an excluded one
        shapes = tuple(filter(None, shapes))
    return _made(picks, picks.choice(kept), _KEYS | {"after": (0,), "shape": shapes}) if kept else None


def _calls(completion: Completion) -> int:
    return max((len(choice.tool_calls) for choice in completion.choices), default=0)


def _made(picks: Picks, kind: type[Any], keys: dict[str, tuple[Any, ...]]) -> Fault:
    """A fault of this kind. One that breaks the reply off names at most one place."""
    names = [name for name in keys if name in kind.__struct_fields__]
    if issubclass(kind, Break):
        ats = ("headers",) if issubclass(kind, Drip | Eof) else ("start", "headers")
        where = picks.choice((None, "at", "frame", "byte"))
        keys = keys | {"at": ats, "byte": _PLACES, "frame": _PLACES}
        names = [name for name in names if name != "frame"] + ([where] if where else [])
    made: Fault = kind(**{name: picks.choice(keys[name]) for name in names})
    return made
