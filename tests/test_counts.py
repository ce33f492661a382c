"""Numbers of things are written by one function, which knows the plural: no message has `1 rules`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.base.words.count import count, noun
from tests.test_vocabulary import FILES

NOUNS = (
    "attempt byte call case character choice client coding connection difference entry event failure file finding frame "
    "interaction item line message name part piece recording reply report request response rule second session shard "
    "step test time token value".split()
)
PLURALS = {noun(2, each) for each in NOUNS}

ALWAYS_MORE = {
    "base/validation.py": "of a text of more than a hundred",
    "base/yaml_nodes.py": "of more values than the limit",
    "fuzzing/matrix_formats.py": "of all steps",
    "generate/json_schema/grow.py": "of the limit",
    "fuzzing/reference_client.py": "of all choices, some of which have not finished",
    "fuzzing/reports/wire_dump.py": "of a long text",
    "recordings/formats/__init__.py": "of a file above the limit",
    "recordings/formats/attached_files.py": "of a file above the limit",
    "recordings/formats/har.py": "of a body that was not kept",
    "recordings/formats/yaml_values.py": "of a text above the limit",
    "server/requests/log.py": "of a text above the limit",
    "streaming/stand_ins.py": "in a repr",
    "testing/reruns/break_replies.py": "of repeated attempts",
    "testing/verdict_report.py": "of tests that have any findings",
    "testing/verdicts/waits.py": "of more attempts than the limit",
}
"""Modules that write a number that is never 1 before a plural."""


@given(st.integers(0, 3), st.sampled_from(NOUNS))
def test_the_noun_is_in_the_plural_unless_there_is_one(number: int, thing: str) -> None:
    written, _, found = count(number, thing).partition(" ")
    assert (written, found == thing) == (str(number), number == 1)
    assert count(0, thing, "no") == f"no {noun(0, thing)}"


def test_long_numbers_and_irregular_plurals() -> None:
    assert [count(number, "entry") for number in (0, 1, 2)] == ["0 entries", "1 entry", "2 entries"]
    assert [count(number, "reply") for number in (1, 2)] == ["1 reply", "2 replies"]
    assert count(1_234_567, "byte") == "1,234,567 bytes"


def by_hand(source: str) -> Iterator[str]:
    """The f-strings in which a number that is not a constant stands before a noun in the plural."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            for value, after in zip(node.values, node.values[1:], strict=False):
                if not isinstance(value, ast.FormattedValue) or not isinstance(after, ast.Constant):
                    continue
                word = re.match(r" (\w+)", str(after.value))
                if word and word[1] in PLURALS and not ast.unparse(value.value).rpartition(".")[2].isupper():
                    yield ast.unparse(node)


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_message_has_a_plural_of_its_own(name: str) -> None:
    source = FILES[name].read_text(encoding="utf-8")
    assert "(s)" not in source or name in PROVIDERS
    found = [each for each in by_hand(source) if "BUDGET" not in each]
    assert (name in ALWAYS_MORE) == bool(found), found


PROVIDERS = ("apis/chat/providers/vercel.py", "apis/gemini/frames/write.py", "apis/messages/http/version.py")
"""They write what providers do."""


def test_a_plural_by_hand_is_found() -> None:
    assert list(by_hand('f"{number} rules of {name}"')) == ["f'{number} rules of {name}'"]
    assert not list(by_hand('f"{MOST} rules, {name!r} is here"'))
