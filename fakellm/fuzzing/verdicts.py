"""Whether a client did right. Owns the verdicts: pure functions of what was meant, what was sent and what came back.

Under a variation the client must return what was meant. Under a fault it must raise an error, or mark what it returns
as not whole; never may it pass it off as whole, nor make up what no frame carried. Under a contested step it must not
corrupt anything in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from fakellm.fuzzing.clients.result import Failed, Result
from fakellm.fuzzing.normalize import FIELDS, Normal, of_result, repaired

BROKEN = frozenset({"differs", "error", "silent", "hung", "driver"})


class Verdict(Struct, frozen=True):
    """`held`, `raised` and `flagged` are right; all others are failures.

    outcome: `differs`: another result; `error`: none, though all was there; `silent`: a success that was none;
        `hung`: no answer in time; `driver`: the client's process died or printed rubbish.
    field: in what. expected, got: there.
    """

    outcome: Literal["held", "raised", "flagged", "differs", "error", "silent", "hung", "driver"] = "held"
    field: str = ""
    expected: Any = None
    got: Any = None
    note: str = ""
    leaked: str = ""
    """The error, where it is no error of the client's own: right, but a weaker finding."""

    @property
    def failed(self) -> bool:
        return self.outcome in BROKEN


HELD = Verdict()


def under_variation(meant: Normal, got: Result | Failed, reported: frozenset[str]) -> Verdict:
    """The verdict on a stream that says all that was meant. `reported`: the fields that the client has a notion of."""
    if isinstance(got, Failed):
        return broken(got) or Verdict("error", got.type, "the whole answer", f"{got.type}: {got.message}")
    field = difference(meant, of_result(got), reported)
    if field is None:
        return HELD
    return Verdict("differs", field, meant[field], of_result(got)[field])


def broken(got: Failed) -> Verdict | None:
    """The verdict on a client that did not even raise an error."""
    if got.how == "hung":
        return Verdict("hung", expected="an answer or an error before the deadline", got=got.message)
    if got.how in ("died", "rubbish"):
        return Verdict("driver", got.how, "a line of JSON with the answer or an error", got.message)
    return None


def difference(expected: Normal, got: Normal, reported: frozenset[str]) -> str | None:
    """The first field in which the two differ, of those that count."""
    for field in FIELDS:
        if field not in reported:
            continue
        a, b = expected[field], got[field]
        if field == "finish_reason" and same_finish(a, b, expected["tool_calls"]):
            continue
        if field == "usage" and a and b:
            b = tuple(theirs if theirs is not None else ours for ours, theirs in zip(a, b, strict=True))
        if field == "choices" and a != b:
            if len(a) == len(b) and all(
                difference(x, y, reported - {"choices", "usage"}) is None for x, y in zip(a, b, strict=True)
            ):
                continue
            return field
        if a != b:
            return field
    return None


def same_finish(one: str | None, other: str | None, calls: list[tuple[str, str]]) -> bool:
    """Whether two finish reasons say the same: after calls a provider may say `stop`, and a client `tool_calls`."""
    return one == other or (bool(calls) and {one, other} == {"stop", "tool_calls"})


def under_fault(sayings: Sequence[Any], got: Result | Failed, reported: frozenset[str]) -> Verdict:
    """The verdict on a reply with a fault; `sayings` are (Heard, Normal) of every response that the client was sent."""
    if isinstance(got, Failed):
        return broken(got) or Verdict("raised", leaked=got.type if got.leaked else "")
    result = of_result(got)
    for heard, normal in sayings:
        if heard.whole and difference(normal, result, reported) is None:
            return HELD
    closest = [normal for heard, normal in sayings if not heard.silent and (heard.told is None or heard.whole)]
    excuses = [_made_up(normal, result, reported) for normal in closest]
    if any(excuse is None for excuse in excuses):
        return Verdict("flagged")
    told = next((heard.told for heard, _ in sayings if heard.told), None)
    if excuses and excuses[-1]:
        field, expected = excuses[-1]
        return Verdict("silent", field, expected, result[field], note=told or "")
    return Verdict("silent", "", "an error", _shown(result, reported), note=told or "nothing was said")


def _made_up(said: Normal, result: Normal, reported: frozenset[str]) -> tuple[str, Any] | None:
    """What a result claims that was not said; nothing where it is marked as not whole."""
    finish = result["finish_reason"]
    same = finish is None or same_finish(finish, said["finish_reason"], said["tool_calls"])
    if "finish_reason" not in reported or not same:
        return "finish_reason", said["finish_reason"] or "none, or an error"
    for text in ("content", "reasoning", "refusal"):
        if text in reported and not said[text].startswith(result[text]):
            return text, said[text]
    if finish not in (None, "length", "content_filter", "error") and "content" in reported:
        field = difference(said, result, reported)
        if field is not None:
            return field, said[field]
    if "usage" in reported and result["usage"] is not None and said["usage"] is None:
        return "usage", None
    if "tool_calls" in reported and any(call not in said["tool_calls"] for call in result["tool_calls"]):
        return "tool_calls", said["tool_calls"]
    return None


def if_contested(meant: Normal, got: Result | Failed, reported: frozenset[str], steps: Sequence[str]) -> Verdict:
    """The weak verdict on what two sane clients may read differently: an error is right, and so is another usage."""
    if isinstance(got, Failed):
        return broken(got) or Verdict("raised", leaked=got.type if got.leaked else "")
    result = of_result(got)
    if any(step.startswith("sse.ends_with") for step in steps) and _made_up(meant, result, reported) is None:
        return Verdict("flagged") if result["finish_reason"] is None else HELD
    pairs = [(meant, result)]
    if "choices" in reported:
        if len(meant["choices"]) != len(result["choices"]):
            return Verdict("differs", "choices", meant["choices"], result["choices"])
        pairs += zip(meant["choices"], result["choices"], strict=True)
    for said, found in pairs:
        field = _lost(said, found, reported, steps)
        if field is not None:
            return Verdict("differs", field, said[field], found[field])
    return HELD


def _lost(meant: Normal, result: Normal, reported: frozenset[str], steps: Sequence[str]) -> str | None:
    """The field of an answer that a client has lost, or mixed up, under contested steps."""
    apart = not any(step.startswith("reasoning") for step in steps)  # else the content may hold it, or lack it
    inside = any(step.startswith("reasoning: think") for step in steps)
    texts: tuple[str, ...] = ("content", "refusal", "reasoning") if apart else ("content", "refusal")
    for field in texts:
        said, found = meant[field], repaired(result[field])
        if field in reported and not (said in found if inside else said == found):
            return field
    doubled = "calls.name: repeated" in steps
    if "tool_calls" in reported and not _same_calls(meant["tool_calls"], result["tool_calls"], doubled):
        return "tool_calls"
    finish = result["finish_reason"]
    same: bool = not finish or same_finish(meant["finish_reason"], finish, meant["tool_calls"])
    return None if "finish_reason" not in reported or same else "finish_reason"


def _same_calls(meant: list[tuple[str, str]], got: list[tuple[str, str]], doubled: bool) -> bool:
    """Whether the calls are the same in any order; a name may be said several times over where it was."""
    got = [(name, repaired(arguments)) for name, arguments in got]
    if doubled:
        return sorted(arguments for _, arguments in meant) == sorted(arguments for _, arguments in got)
    return sorted(meant) == sorted(got)


def _shown(result: Normal, reported: frozenset[str]) -> dict[str, Any]:
    return {field: result[field] for field in FIELDS if field in reported and field != "choices"}
