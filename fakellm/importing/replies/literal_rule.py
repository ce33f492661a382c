"""The rule that sends a recorded response literally: an error, a page, or a reply that was not requested in this form.

Knows no API.
"""

from __future__ import annotations

from fakellm.base.validation import FieldError
from fakellm.faults import Close, Fault, Reset, Stall, Status
from fakellm.faults.base import check_header
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule
from fakellm.wire.plan import Plan

_KEPT = ("retry-after", "retry-after-ms", "x-should-retry", "location")
"""The headers that state when and where a client may retry."""

_LOST: dict[str, Fault] = {"reset": Reset(at="start"), "stall": Stall(at="start")}


def literal_rule(plan: Plan, content_type: str) -> Rule:
    """The rule that sends the response literally, with the headers that state when a client may retry. If there was
    none, the connection ends as it did."""
    if plan.status is None:
        return Rule(reply=Reply(), fault=_LOST.get(plan.end, Close(at="start")))
    headers = {name: value for name, value in plan.headers if name.lower() in _KEPT and _is_sendable(value)}
    body, kind = plan.body.decode("utf-8", "replace"), content_type or None
    kind = kind if kind and _is_sendable(kind) else None
    return Rule(reply=Reply(), fault=Status(status=plan.status, body=body, content_type=kind, headers=headers))


def _is_sendable(value: str) -> bool:
    """Whether a rule can send the value of a header."""
    try:
        check_header((), value)
    except FieldError:
        return False
    return True
