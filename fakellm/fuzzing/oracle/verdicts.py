"""Judges what a client returned. Owns the verdicts: pure functions of what was meant, what was sent and what came back.

- Under a variation, the client must return what was meant.
- Under a fault, it must raise an error or return a result that shows it is incomplete. It must neither report a partial
  answer as complete nor return anything that no frame contained.
- Under a contested step, it must not lose or mix up anything silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from fakellm.engine.what_was_sent import WireReading
from fakellm.fuzzing.clients.result import NoResult, Result
from fakellm.fuzzing.oracle.normalize import FIELDS, Normal, difference, of_result, repaired, same_finish

FAILURES = frozenset({"differs", "error", "silent", "hung", "driver"})


class Verdict(Struct, frozen=True):
    """Whether a client was right. The outcomes `held`, `raised` and `flagged` are right; all others are failures.

    outcome: `differs`: another result than expected; `error`: an error although the whole answer was sent; `silent`: a
        result that does not show the fault; `hung`: nothing by the deadline; `driver`: the client's process died or
        printed an invalid line.
    field: where the client was wrong. expected, actual: the values there. note: what the response contained instead.
    internal: the type of an error that is right to raise but is one of the language, and so of little use to a caller.
    """

    outcome: Literal["held", "raised", "flagged", "differs", "error", "silent", "hung", "driver"] = "held"
    field: str = ""
    expected: Any = None
    actual: Any = None
    note: str = ""
    internal: str = ""

    @property
    def failed(self) -> bool:
        return self.outcome in FAILURES


HELD = Verdict()


def under_variation(expected: Normal, returned: Result | NoResult, reported: frozenset[str]) -> Verdict:
    """The verdict on a stream that contains all that was meant. `reported`: the fields that the client reports."""
    if isinstance(returned, NoResult):
        message = f"{returned.type}: {returned.message}"
        return without_error(returned) or Verdict("error", returned.type, "the whole answer", message)
    actual = of_result(returned)
    field = difference(expected, actual, reported)
    if field is None:
        return HELD
    return Verdict("differs", field, *(_shown(field, each[field], reported) for each in (expected, actual)))


def _shown(field: str, value: Any, reported: frozenset[str]) -> Any:
    """The value of a field as a verdict shows it: choices without blocks, unless the client reports these."""
    if field != "choices" or "blocks" in reported:
        return value
    return [{key: each for key, each in choice.items() if key != "blocks"} for choice in value]


def without_error(failed: NoResult) -> Verdict | None:
    """The verdict on a client that returned nothing and did not raise an error either; None if it raised one."""
    if failed.how == "hung":
        return Verdict("hung", expected="an answer or an error before the deadline", actual=failed.message)
    if failed.how in ("died", "invalid"):
        return Verdict("driver", failed.how, "a line of JSON with the answer or an error", failed.message)
    return None


def under_fault(
    readings: Sequence[tuple[WireReading, Normal]], returned: Result | NoResult, reported: frozenset[str]
) -> Verdict:
    """The verdict on a reply with a fault. `readings`: one for each way to read each response sent."""
    if isinstance(returned, NoResult):
        return without_error(returned) or _raised(returned)
    result = of_result(returned)
    for reading, content in readings:
        if reading.complete and difference(content, result, reported) is None:
            return HELD
    unfounded = [_unfounded(content, result, reported) for reading, content in readings if _may_be_returned(reading)]
    if any(claim is None for claim in unfounded):
        return Verdict("flagged")
    error = next((reading.error for reading, _ in readings if reading.error), None)
    if unfounded and unfounded[-1]:
        field, expected = unfounded[-1]
        expected, actual = (_shown(field, value, reported) for value in (expected, result[field]))
        return Verdict("silent", field, expected, actual, error or "")
    shown = {field: result[field] for field in FIELDS if field in reported and field != "choices"}
    missing = (
        "fewer choices than requested" if any(reading.cut_between_choices for reading, _ in readings) else "no chunk"
    )
    return Verdict("silent", "", "an error", shown, note=error or f"the response contained {missing}")


def _may_be_returned(reading: WireReading) -> bool:
    """Whether a client may return what was sent, as long as its result shows that it is incomplete, rather than raise
    an error."""
    return reading.complete or not (reading.empty or reading.error or reading.cut_between_choices)


def _raised(failed: NoResult) -> Verdict:
    return Verdict("raised", internal=failed.type if failed.internal else "")


def _unfounded(sent: Normal, result: Normal, reported: frozenset[str]) -> tuple[str, Any] | None:
    """The first field whose value was not sent, and what it should be; None if the result shows that it is
    incomplete."""
    finish = result["finish_reason"]
    same = finish is None or same_finish(finish, sent["finish_reason"], sent["tool_calls"])
    if "finish_reason" not in reported or not same:
        return "finish_reason", sent["finish_reason"] or "none, or an error"
    for text in ("content", "reasoning", "refusal"):
        if text in reported and not sent[text].startswith(result[text]):
            return text, sent[text]
    if finish not in (None, "length", "content_filter", "error") and "content" in reported:
        field = difference(sent, result, reported)
        if field is not None:
            return field, sent[field]
    if "usage" in reported and result["usage"] is not None and sent["usage"] is None:
        return "usage", None
    if "tool_calls" in reported and any(call not in sent["tool_calls"] for call in result["tool_calls"]):
        return "tool_calls", sent["tool_calls"]
    return None


def if_contested(
    expected: Normal, returned: Result | NoResult, reported: frozenset[str], steps: Sequence[str]
) -> Verdict:
    """The lenient verdict on steps that two sane clients may read differently: an error is right, and so is another
    usage."""
    if isinstance(returned, NoResult):
        return without_error(returned) or _raised(returned)
    result = of_result(returned)
    if any(step.startswith("sse.ends_with") for step in steps) and _unfounded(expected, result, reported) is None:
        return Verdict("flagged") if result["finish_reason"] is None else HELD
    pairs = [(expected, result)]
    if "choices" in reported:
        if len(expected["choices"]) != len(result["choices"]):
            return Verdict("differs", "choices", expected["choices"], result["choices"])
        pairs += zip(expected["choices"], result["choices"], strict=True)
    for one, other in pairs:
        field = _lost(one, other, reported, steps)
        if field is not None:
            return Verdict("differs", field, one[field], other[field])
    return HELD


def _lost(expected: Normal, result: Normal, reported: frozenset[str], steps: Sequence[str]) -> str | None:
    """The field of a choice that the client lost or mixed up under contested steps."""
    separate = not any(step.startswith("reasoning") for step in steps)  # else the content may hold reasoning or lack it
    within = any(step.startswith("reasoning: think") for step in steps)
    texts: tuple[str, ...] = ("content", "refusal", "reasoning") if separate else ("content", "refusal")
    for field in texts:
        text, actual = expected[field], repaired(result[field])
        if field in reported and not (text in actual if within else text == actual):
            return field
    repeated = "calls.name: repeated" in steps
    if "tool_calls" in reported and not _same_calls(expected["tool_calls"], result["tool_calls"], repeated):
        return "tool_calls"
    finish = result["finish_reason"]
    same: bool = not finish or same_finish(expected["finish_reason"], finish, expected["tool_calls"])
    return None if "finish_reason" not in reported or same else "finish_reason"


def _same_calls(expected: list[tuple[str, str]], actual: list[tuple[str, str]], repeated: bool) -> bool:
    """Whether the calls are the same in any order. Where names were `repeated` on the wire, only arguments count."""
    actual = [(name, repaired(arguments)) for name, arguments in actual]
    if repeated:
        return sorted(arguments for _, arguments in expected) == sorted(arguments for _, arguments in actual)
    return sorted(expected) == sorted(actual)
