"""Each usual mistake in YAML is answered with its remedy, besides its place."""

from __future__ import annotations

import pytest

from fakellm import ScenarioError, load

QUOTES = "put the text in quotes"
BRACES = "put text with {{…}} in quotes"
COLON = "text with ': ' in it must be in quotes"
SECOND = "the text ends at its second quotation mark"
INDENT = "is this line indented like those beside it"
BRACKET = "is a comma or a closing bracket missing"

IN_VALUES = {
    "*": QUOTES,
    "*-mini": QUOTES,
    "&x &y": QUOTES,
    "!x y": QUOTES,
    "@user": QUOTES,
    "`ls`": QUOTES,
    "%d": QUOTES,
    "{{user}}": BRACES,
    "{{user}} said": BRACES,
    "Note: three": COLON,
    "'it's'": SECOND,
    '"a" b': SECOND,
    '"C:\\dir"': "write \\\\ for a backslash",
}
"""What a user may write as a text, and what the message says."""


@pytest.mark.parametrize("layout", ["rules:\n- reply: {content: VALUE}\n", "rules:\n- reply:\n    content: VALUE\n"])
@pytest.mark.parametrize(("value", "expected"), IN_VALUES.items())
def test_a_text_that_needs_quotes(value: str, expected: str, layout: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        load(layout.replace("VALUE", value))
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rules:\n- reply:\n    content: | Hi\n", "text after | starts in the next line, indented"),
        ("rules:\n- reply:\n\tcontent: Hi\n", "indent with spaces"),
        ("rules:\n-\treply: {content: Hi}\n", "indent with spaces"),
        ("rules:\n- reply:\n  content: Hi\n   model: m\n", INDENT),
        ("rules:\n  - reply: {}\n - reply: {}\n", INDENT),
        ("rules\n- reply: {content: Hi}\n", INDENT),
        ("rules:\n- reply: {content: Hi\n- reply: {}\n", BRACKET),
        ("rules:\n- reply: {content: [a}\n", BRACKET),
        ("rules:\n- reply: {content: {a}\n", "scenario:2:10: this bracket is never closed"),
        ("rules:\n- reply:\n    content: {a\n", "scenario:3:14: this bracket is never closed"),
        ("rules:\n- reply:\n    content: [a\n", "scenario:3:14: this bracket is never closed"),
    ],
)
def test_a_line_that_does_not_fit(text: str, expected: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        load(text)
    assert expected in str(raised.value)
