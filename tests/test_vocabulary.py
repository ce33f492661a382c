"""Names and prose use the words of CONTRIBUTING.md's glossary: retired names and phrases do not come back."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

RETIRED_NAMES = {
    *("said", "says", "asked", "told", "tell", "tells", "wanted", "given", "heard", "seen", "spelt"),
    *("met", "unmet", "taken", "spoil", "spoils", "spoiled"),
}
"""No part of a name of ours may be one of these: a name states what it holds or returns."""

RETIRED_MODULES = {
    *("door", "doors", "room", "rooms", "house", "apart", "sight", "fit", "respell", "take", "tape", "sameness"),
    *("reproduce", "provenance", "heard", "judge", "flat", "height"),
}

RETIRED_PHRASES = re.compile(
    r"(?<!there )\b(?:is|are|was|were) no (?!longer\b|more\b|less\b|coincidence\b)\w+"  # "is not a …", "is not valid …"
    r"|\bmeets? (?:a|an|the|this|that|it|them|no|every|any|each|these)\b|\b(?:is|are|was|were|be) (?:not )?met\b"
    r"|\bno rule meets\b|\bun?met\b"
    r"|\b(?:is|are|was|were|be|been|as it was) (?:said|told|asked|wanted|heard)\b|\bto be told\b"
    r"|\bwhat (?:is|was) asked\b|\bspeaks? of\b|\bsays of\b"
    r"|\bwanted .*\bgot\b|\btells? (?:of|it|them|apart)\b|\b(?:and|or) the like\b|\bgone on with\b"
    r"|\bthe house\b|\bdoors?\b|\bstrikes?\b",
    re.IGNORECASE,
)

DATA = {"generate/prose.py", "fuzzing/draws/payloads.py"}
"""Their texts are content of replies, not prose."""

FILES = {
    file.relative_to(ROOT / "fakellm").as_posix(): file
    for file in sorted((ROOT / "fakellm").rglob("*.py"))
    if "node_modules" not in file.parts
}
DOCS = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])


def violations(source: str, *, texts: bool = True) -> list[str]:
    """The retired names that a module defines, and the retired phrases in its texts and comments."""
    tree = ast.parse(source)
    found = [f"the name {name}" for name in defined(tree) if RETIRED_NAMES & parts(name)]
    found += [f"the module {name}" for name in imported(tree) if RETIRED_MODULES & set(name.split("."))]
    prose = [*docstrings(tree), *comments(source), *(strings(tree) if texts else ())]
    return found + [f"the phrase {phrase!r}" for text in prose for phrase in phrases(text)]


def parts(name: str) -> set[str]:
    """The words of a name in snake case or camel case, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}


def defined(tree: ast.Module) -> Iterator[str]:
    """The names of variables, parameters, functions, classes and attributes that a module defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.MatchAs | ast.MatchStar | ast.ExceptHandler) and node.name:
            yield node.name


def imported(tree: ast.Module) -> Iterator[str]:
    """The modules of the package that a module imports."""
    for node in ast.walk(tree):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name for name in names if name.split(".")[0] == "fakellm")


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Every string that is a statement: docstrings, and those below a constant or a field."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def strings(tree: ast.Module) -> Iterator[str]:
    """Every other string, and the fixed parts of formatted ones."""
    return (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def comments(source: str) -> Iterator[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return (token.string for token in tokens if token.type == tokenize.COMMENT)


def phrases(text: str) -> list[str]:
    """The retired phrases in a text, whatever its line breaks; code in backticks is not prose."""
    return [found[0] for found in RETIRED_PHRASES.finditer(re.sub(r"`[^`]*`", "``", " ".join(text.split())))]


@pytest.mark.parametrize("name", FILES)
def test_a_module_has_no_retired_names_and_phrases(name: str) -> None:
    assert violations(FILES[name].read_text(encoding="utf-8"), texts=name not in DATA) == []
    assert not RETIRED_MODULES & set(Path(name).with_suffix("").parts)


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_a_page_has_no_retired_phrases(file: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert phrases(prose) == []


@pytest.mark.parametrize(
    "source",
    [
        *("said = 1", "def told(): ...", "def f(wanted): ...", "class UnmetError: ...", "self.is_given = 1"),
        *("for met in (): ...", "class A:\n    spoiled: bool = False", "try: ...\nexcept E as seen: ..."),
        *("import fakellm.doors.chat", "from fakellm.recordings.tape import x"),
        *(
            '"""What is no JSON."""',
            "x = 1\n'''It is no\npath.'''",
            "raise E(f'{x} is no path')",
            "x = 1  # no rule meets it",
        ),
        *("x = 'wanted 1, got 2'", "'''As it was said.'''", "'''A request that meets the rule.'''"),
    ],
)
def test_what_is_retired_is_found(source: str) -> None:
    assert violations(source)


@pytest.mark.parametrize(
    "source",
    [
        *(
            "from hypothesis import given",
            "file.tell()",
            "content = 1",
            "'''There is no rule; it is no longer there.'''",
        ),
        *("'''`said` is a name of the past.'''", "mood = 1", "# it is not valid JSON"),
    ],
)
def test_what_is_allowed_is_not_found(source: str) -> None:
    assert violations(source) == []


TWICE = {
    "Close": "the end of a block, and the fault that closes a connection",
    "Refusal": "the block, and the fault that puts one in place of a reply",
    "Stall": "a pause of `timing:`, and the fault that never ends; both are public",
    "Usage": "the core's counts, and the `usage:` block of a reply",
}
"""Names of two classes, and why: each is the field's word, and public or in YAML."""


def test_a_class_has_a_name_of_its_own() -> None:
    names = [
        node.name
        for file in FILES.values()
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    assert {name for name in names if names.count(name) > 1} == set(TWICE)
