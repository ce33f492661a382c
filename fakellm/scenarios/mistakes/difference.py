"""What a request lacks to match a condition, as messages show it: the values, and what the condition should be.

Knows no `when`: `matching` finds the differences.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from fakellm.base.json_path import path_of
from fakellm.base.secrets.names import secret_field, secret_header
from fakellm.base.validation import shortened
from fakellm.model.request import Request
from fakellm.scenarios.mistakes.patterns import pattern_of, with_brackets


class Difference(Struct, frozen=True):
    """One value of a request that a `when` does not match."""

    field: str
    expected: Any
    actual: Any
    note: str = ""

    @property
    def values(self) -> tuple[str, str]:
        """The expected and the actual value as messages show them, without secrets."""
        if _is_secret(self.field):
            return "a secret", "None" if self.actual is None else "a secret"
        return shortened(self.expected), shortened(self.actual)

    def __str__(self) -> str:
        if _is_secret(self.field):
            return f"{self.field}: expected {'a secret, got None' if self.actual is None else 'another secret'}"
        if self.expected == "" and self.actual is None:  # every text contains it
            return f"{self.field}: expected any text, got none"
        return "{}: expected {}, got {}{}".format(self.field, *self.values, self._near)

    @property
    def _near(self) -> str:
        """A hint, if the value is nearly the expected one, or if the condition is nearly one that would match."""
        if self.note:
            return f" ({self.note})"
        if self.field.startswith("body.") and self.actual is None and (path := with_brackets(self.field[5:])):
            return f" (an item of a list is written in brackets: {path})"
        if self.field == "message" and isinstance(self.expected, str) and isinstance(self.actual, tuple):
            return pattern_of(self.expected, *self.actual)
        if not isinstance(self.expected, str) or not isinstance(self.actual, str):
            return ""
        if self.field == "model" and self.expected and self.actual.startswith(self.expected):
            return f" (the whole name must match: {shortened(self.expected + '*')})"
        expected, actual = self.expected.lower(), self.actual.lower()
        contained = self.field in ("user", "system") or self.field.startswith(("result.", "headers."))
        same = expected in actual if contained else expected == actual
        if same:
            return " (differs only in case)"
        return pattern_of(self.expected, self.actual) if contained else ""


def _is_secret(field: str) -> bool:
    """Whether the values of a condition are keys, tokens or passwords, by the name of the header or field."""
    block, _, name = field.partition(".")
    if block == "headers":
        return secret_header(name)
    return block == "body" and any(isinstance(step, str) and secret_field(step) for step in path_of(name))


def note(field: str, actual: Any, request: Request) -> str:
    """Why a request that has results has none of this tool."""
    if not field.startswith("result.") or actual is not None:
        return ""
    calls = {call.id for message in request.messages for call in message.calls}
    ids = [each.result_of for each in request.messages if each.role == "tool" and each.result_of and not each.name]
    unknown = next((name for name in ids if name not in calls), None)
    return f"the result {shortened(unknown)} belongs to no call in the messages" if unknown else ""
