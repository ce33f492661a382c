"""How to mend what is not valid YAML: the usual mistakes, recognized by the line with the problem.

It knows lines of text alone, and neither scenarios nor PyYAML's objects.
"""

from __future__ import annotations

import re

ANOTHER_DOCUMENT = "a scenario file has one document; put what follows --- into a file of its own"

_QUOTED = "put the text in quotes"
_FIRST = {
    "*": f"a value that starts with * refers to an anchor; {_QUOTED}",
    "&": f"a value that starts with & sets an anchor; {_QUOTED}",
    "!": f"a value that starts with ! has a tag; {_QUOTED}",
    "@": f"no value starts with @; {_QUOTED}",
    "`": f"no value starts with `; {_QUOTED}",
    "%": f"no value starts with %; {_QUOTED}",
    "|": "text after | starts in the next line, indented",
    ">": "text after > starts in the next line, indented",
}
"""What a value that starts with this character means, and the remedy."""

_ESCAPE = r"in double quotes, \ starts an escape; write \\ for a backslash, or put the text in single quotes"
_SECOND_QUOTE = (
    "the text ends at its second quotation mark; write '' for one inside single quotes, or \\\" inside double ones"
)

_VALUE = re.compile(r"[:\[{,-]\s+|[\[{]")
"""What comes before a value."""


def remedy(text: str, line: int, column: int, problem: str) -> str:
    """How to mend what PyYAML found at this place, both numbers from 0; empty for anything unusual."""
    lines = text.splitlines()
    shown = lines[line] if line < len(lines) else ""
    before = shown[: column + 1]
    if "\t" in before[: len(before) - len(before.lstrip()) + 1] or before.lstrip(" -").startswith("\t"):
        return "indent with spaces: YAML allows no tabs there"
    if "{{" in before or shown[column : column + 2] == "{{":
        return "{ starts a mapping; put text with {{…}} in quotes"
    if (value := _value(before)) and value[0] in _FIRST:
        return _FIRST[value[0]]
    if value[:1] in ("'", '"'):
        return _ESCAPE if shown[column : column + 1] == "\\" else _SECOND_QUOTE
    if shown[column : column + 1] == ":" and re.search(r":\s", before.lstrip(" -")):
        return "text with ': ' in it must be in quotes"
    if "expected ','" in problem:
        return "is a comma or a closing bracket missing before this?"
    if "expected key" in problem or "mapping values" in problem or "block" in problem:
        return "is this line indented like those beside it, and does the line above end in ':'?"
    return ""


def _value(before: str) -> str:
    """The start of the value in which the text ends."""
    ends = [found.end() for found in _VALUE.finditer(before) if found.end() < len(before)]
    return before[ends[-1] :] if ends else before.lstrip()


def unknown_key(key: str, has_value: bool) -> str:
    """What follows the message about an unknown key that may be part of a text, or of a text and a key."""
    if not has_value:
        return "; text with a comma or '}' in it must be in quotes"
    return "; a key ends in ':' and a space" if re.search("[:{]", key) else ""
