"""Reports the verdicts on the clients of all tests at the end of a pytest run. Owns the forms of the report.

It imports nothing slow: every pytest run imports it.
"""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from fakellm.testing.verdicts.finding import ClientVerdict

PROPERTY = "fakellm_verdict"
"""The property of a test that has its verdict, as JSON."""

TERMINAL = True
"""In place of a file: the report is printed. It is not a text, since argparse checks the texts of its defaults too."""

Verdicts = Mapping[str, Mapping[str, Any]]
"""The verdict of each test, by its id."""


def checked_file(text: str) -> str:
    """The name of a file for a report. Raises ArgumentTypeError unless its suffix is known: a folder of tests that
    follows the option is none."""
    if Path(text).suffix not in (".json", ".md"):
        raise ArgumentTypeError(
            f"must end in .json or .md, got {text!r}; to print the report, put the option after the tests"
        )
    return text


def note(test: pytest.Item, verdict: ClientVerdict) -> None:
    """Keeps the verdict on the client of a test for the report."""
    findings = [
        {"rule": each.rule, "message": each.message, "requests": list(each.requests), "docs": each.docs}
        for each in verdict.findings
    ]
    test.user_properties.append((PROPERTY, {"requests": verdict.requests, "findings": findings}))


def verdicts_in(reports: Iterable[object]) -> Verdicts:
    """The verdicts that pytest's reports have. Of a test that ran more than once, the first."""
    found: dict[str, Mapping[str, Any]] = {}
    for report in reports:
        for name, value in getattr(report, "user_properties", ()):
            if name == PROPERTY:
                found.setdefault(getattr(report, "nodeid", ""), value)
    return found


def lines(verdicts: Verdicts) -> Iterator[str]:
    """The report for a terminal: the tests with findings, and a summary."""
    for test, verdict in verdicts.items():
        if verdict["findings"]:
            yield f"{test}: {_count(len(verdict['findings']), 'finding')} in {_count(verdict['requests'], 'request')}"
            yield from (f"- {each['rule']}: {each['message']}: {each['docs']}" for each in verdict["findings"])
    yield _summary(verdicts)


def create(file: str) -> None:
    """Creates the file of the report with its folders, before a run that would have no place for its report. Raises
    OSError."""
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).touch()


def write(verdicts: Verdicts, file: str) -> None:
    """Writes the report into a file: JSON or Markdown, by its suffix."""
    if file.endswith(".json"):
        text = json.dumps({"tests": verdicts}, indent=2, ensure_ascii=False)
    else:
        text = "\n".join(["# What the clients did", "", f"{_summary(verdicts)}.", *_table(verdicts)])
    Path(file).write_text(text + "\n", encoding="utf-8")


def _table(verdicts: Verdicts) -> Iterator[str]:
    rows = [(test, each) for test, verdict in verdicts.items() for each in verdict["findings"]]
    if rows:
        yield from ("", "| test | rule | what happened |", "|---|---|---|")
        yield from (f"| `{_cell(test)}` | {each['rule']} | {_cell(each['message'])} |" for test, each in rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _count(number: int, thing: str, none: str = "0") -> str:
    from fakellm.base.words.count import count  # not above: pytest loads this where the package is damaged, too

    return count(number, thing, none)


def _summary(verdicts: Verdicts) -> str:
    sent = sum(verdict["requests"] for verdict in verdicts.values())
    found = sum(bool(verdict["findings"]) for verdict in verdicts.values())
    having = f"{_count(found, 'test', 'no')} {'has' if found == 1 else 'have'}"
    tests = sum(verdict["requests"] > 0 for verdict in verdicts.values())
    return f"{_count(tests, 'test')} sent {_count(sent, 'request')} to models; {having} findings"
