"""Says what to write for a value of the wrong type in a call of the builder."""

from __future__ import annotations

import re
from typing import Any, get_args

from fakellm.base.validation import Path, shortened
from fakellm.base.words.near_miss import other_word
from fakellm.faults import Break, Fault, Stall
from fakellm.scenarios.mistakes.text_values import instead_of_text


def value_in_python(path: Path, value: Any, message: str) -> str:
    """What follows the message about a value of the wrong type at this path; empty for anything unusual.

    `message`: such as `expected array | null, got string`.
    """
    expected = message.partition(", got")[0]
    if isinstance(value, re.Pattern):
        return f"; write fakellm.Pattern(regex={shortened(value.pattern)})"
    if isinstance(value, list) and value and "string" in expected and all(isinstance(each, str) for each in value):
        either = "|".join(map(re.escape, value))
        return f"; write one rule each, or fakellm.Pattern(regex={shortened(either)})"
    if callable(value):
        return "; a condition is a value: a function of the request goes into .reply(…)"
    if "string" in expected and type(value) in (int, float, bool):
        return f"; write {str(value)!r}, in quotes"
    if path == ("fault",) and type(value) is int:
        return f"; write .fail({value})"
    if not isinstance(value, str):
        return ""
    if path == ("body",):
        return f"; write body={{'messages[-1].content': {shortened(value)}}}, by the path of the value"
    if path == ("headers",):
        return f"; write headers={{'x-run': {shortened(value)}}}, by the name of the header"
    if path == ("fault",):
        return f"; write .fault(fakellm.faults.{_fault(value)})"
    if path == ("result",):
        return f"; write result={{'add': {shortened(value)}}}, by the name of the tool"
    if "array" in expected:
        return f"; write [{shortened(value)}]"
    return instead_of_text(value, path, message, python=True)


def key_in_python(path: Path) -> str:
    """What follows the message about an unknown key at this path; empty for anything unusual."""
    return "; a plain text in its place must be contained" if path[-1:] in (("contains",), ("substring",)) else ""


def _fault(word: str) -> str:
    """The fault with this kind, or what is called so elsewhere, as it is written; Stall for an unknown one."""
    kinds = {str(each.__struct_config__.tag): each for each in get_args(Fault)}
    kind = kinds.get(word) or kinds.get(other_word(word, list(kinds)) or "", Stall)
    return f"{kind.__name__}({'frame=3' if issubclass(kind, Break) else ''})"
