"""Reports of `fakellm fuzz` for machines: JSON that is merged, JUnit XML, and annotations on GitHub."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from fakellm.cli import main
from fakellm.fuzzing.clients.client_function import FunctionClient
from fakellm.fuzzing.clients.result import NoResult
from fakellm.fuzzing.oracle.verdicts import Verdict
from fakellm.fuzzing.report import report, run_report
from fakellm.fuzzing.report import reported_failure as described
from fakellm.fuzzing.reports.github import as_annotations
from fakellm.fuzzing.reports.junit import as_junit
from fakellm.fuzzing.reports.run_report import ReportedFailure, RunReport, RunSettings, read_report
from fakellm.fuzzing.run import run
from fakellm.fuzzing.search import ClientFailure, Search
from fakellm.fuzzing.trial import JudgedCase
from fakellm.scenarios.reply import Call, Reply
from fakellm.scenarios.scenario import Rule
from tests import wrong_clients as wrong

SETTINGS = RunSettings(api="chat", profile="standard", seed=0, examples=20)


def reported_failure(**fields: Any) -> ReportedFailure:
    about: dict[str, Any] = {
        "number": 3,
        "count": 2,
        "cause": ("sse.space",),
        "steps": ("sse.space",),
        "text": "…",
        "scenario": "rules: []",
        "tier": "T1",
        "title": "sse.space (T1: A4)",
        "outcome": "differs",
        "summary": "Wrong result: content",
    }
    return ReportedFailure(**about | fields)


def reported(**fields: Any) -> RunReport:
    return RunReport(settings=SETTINGS, cases=20, **fields)


@pytest.fixture(scope="module")
def found() -> RunReport:
    """The report of a real run, with a failure."""
    return run_report(
        run(FunctionClient(wrong.NeedsSpace()), Search(profile="standard", examples=30)), ("node", "driver.mjs")
    )


def test_a_report_is_read_back_as_it_was(found: RunReport) -> None:
    again = read_report(msgspec.json.encode(found), "a.json")
    assert again == found
    assert report(again, ["again"]) == report(found, ["again"])


CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "testcase": {"failure", "error", "system-out"},
}
ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors"},
    "property": {"name", "value"},
    "testcase": {"classname", "name"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
}
"""The part of Jenkins' schema (junit-10.xsd of its plugin xunit) that is used."""


def read_junit(run: RunReport) -> ElementTree.Element:
    """The file as an element, which has only what Jenkins knows, and numbers that are right."""
    root = ElementTree.fromstring(as_junit(run))
    for element in root.iter():
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
        assert element.keys() == [] or set(element.keys()) == ATTRIBUTES[element.tag]
    for element in (root, root[0]):
        assert element.get("tests") == str(len(list(root.iter("testcase"))))
        assert element.get("failures") == str(len(list(root.iter("failure"))))
        assert element.get("errors") == str(len(list(root.iter("error"))))
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(set(names)) == len(names)
    return root


def test_junit_has_a_test_case_for_each_step(found: RunReport) -> None:
    root = read_junit(found)
    (failure,) = root.iter("failure")
    cases = {(case.get("classname"), case.get("name")): case for case in root.iter("testcase")}
    failing = cases["fakellm.fuzz.chat.T1", "sse.space"]
    assert failing[0] is failure
    assert failure.get("type") == "error"
    assert "EOFError" in (failure.get("message") or "")
    assert "space: false" in (failure.text or "")
    assert list(cases["fakellm.fuzz.chat.plain", "the plain wire"].itertext())[1].startswith("tried in ")


def test_junit_names_failures_apart() -> None:
    tried = {"T1": {"sse.space": 4, "sse.bom": 1}}
    both = reported_failure(steps=("sse.bom", "sse.space"), cause=("sse.bom", "sse.space"))
    root = read_junit(reported(tried=tried, failures=[reported_failure(), reported_failure(intermittent=True), both]))
    assert [(case.get("name"), [child.tag for child in case]) for case in root.iter("testcase")] == [
        ("sse.bom", ["system-out"]),
        ("sse.bom with sse.space", ["failure"]),
        ("sse.space", ["failure", "system-out"]),
        ("sse.space (2)", ["failure"]),
    ]


def test_junit_has_an_error_for_missing_cases() -> None:
    (error,) = read_junit(reported(problem="shard 2/2 is missing")).iter("error")
    assert error.text == "shard 2/2 is missing"


@given(st.text() | st.text("\x00\x1b\ud800\uffff]]>&%\r\n:,"))
@settings(max_examples=60)
def test_any_text_is_valid_in_xml_and_read_back_from_an_annotation(text: str) -> None:
    run = reported(failures=[reported_failure(title=text, summary=text, text=text)])
    (failure,) = read_junit(run).iter("failure")
    if text.isprintable():
        assert failure.text == f"{text}\n{text}"
    (line,) = as_annotations(run, [text])
    assert "\n" not in line
    assert "\r" not in line
    title, _, message = line.removeprefix("::error title=").partition("::")
    assert (unescaped(title), unescaped(message)) == (f"fakellm fuzz: {text}", f"{text}\nTo reproduce: {text}")


def unescaped(text: str) -> str:
    """As the runner of GitHub reads it: github.com/actions/runner, ActionCommand.cs."""
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


def fuzz(*words: str) -> Result:
    return CliRunner().invoke(main, ["fuzz", *words])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return tmp_path


def write(name: str, **fields: Any) -> None:
    Path(name).write_bytes(msgspec.json.encode(reported(**fields)))


def test_merged_shards_are_reported_as_a_run_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one report, which is written in each format and whose failures are saved here."""
    command = ("node", "my driver.mjs")
    write(
        "2.json",
        shard=(2, 2),
        command=command,
        failures=[reported_failure(number=1), reported_failure(number=9, cause=("x",))],
    )
    write(
        "1.json", shard=(1, 2), command=command, failures=[reported_failure(number=2, count=5)], compared=("content",)
    )
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = fuzz("--merge", "2.json", "1.json", "--report", "all.json", "--junit", "all.xml")
    assert done.exit_code == 1
    assert done.stdout.startswith(
        "2 failures in 40 cases (profile standard, seed 0)\n\n1. sse.space (T1: A4), in 7 cases\n…"
    )
    saved = "To reproduce: fakellm fuzz --replay .fakellm/failures/"
    assert done.stdout.count(saved) == 2
    assert done.stdout.count(" -- node 'my driver.mjs'\n") == 2
    assert (
        done.stderr.count("::error title=fakellm fuzz%3A sse.space (T1%3A A4)::Wrong result: content%0A" + saved) == 2
    )
    assert [each.number for each in read_report(Path("all.json").read_bytes(), "").failures] == [1, 9]
    assert ElementTree.parse("all.xml").getroot().get("failures") == "2"


def test_a_missing_shard_fails_the_run(folder: Path) -> None:
    write("1.json", shard=(1, 3))
    done = fuzz("--merge", "1.json")
    assert (done.exit_code, done.output.splitlines()[-1]) == (
        2,
        "Cases are missing: shard 2/3 is missing; shard 3/3 is missing",
    )


def test_an_interrupted_shard_interrupts_the_run(folder: Path) -> None:
    write("1.json", shard=(1, 2), ended="interrupted")
    write("2.json", shard=(2, 2), ended="out of time")
    done = fuzz("--merge", "1.json", "2.json")
    assert (done.exit_code, done.output.splitlines()[0]) == (
        130,
        "no failures in 40 cases (profile standard, seed 0), then interrupted",
    )


def test_what_passes_now_and_then_in_several_shards_is_a_failure_of_the_run(folder: Path) -> None:
    for number, unsteady in ((1, 1), (2, 2)):
        now_and_then = reported_failure(number=number, intermittent=True)
        write(f"{number}.json", shard=(number, 2), unsteady=unsteady, unsteady_first=now_and_then)
    assert fuzz("--merge", "1.json").output.splitlines()[-3] == "Failed once, then passed when repeated: 1 case"
    assert "1. sse.space (T1: A4), in 3 cases" in fuzz("--merge", "1.json", "2.json").output


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "--merge needs the files that --report wrote, one for each shard"),
        (["nope.json"], "nope.json: no such file or directory"),
        (["bad.json"], "bad.json is not a report of `fakellm fuzz --report`: Object missing required field `settings`"),
        (["1.json", "1.json"], "there are 2 reports of shard 1/2"),
        (["1.json", "third.json"], "expected 2 shards as in the first report, got one of 3"),
        (["1.json", "seed.json"], "these are not shards of one run: seed is 0 in the first, and 1"),
    ],
)
def test_files_that_cannot_be_merged_are_reported(files: list[str], message: str, folder: Path) -> None:
    Path("bad.json").write_text("{}")
    write("1.json", shard=(1, 2))
    write("third.json", shard=(1, 3))
    other = RunReport(settings=msgspec.structs.replace(SETTINGS, seed=1), shard=(2, 2))
    Path("seed.json").write_bytes(msgspec.json.encode(other))
    done = fuzz("--merge", *files)
    assert done.exit_code == 2
    assert message in done.output


@pytest.mark.parametrize(("arguments", "noted"), [("", True), ("{}", False)])
def test_a_report_notes_that_empty_arguments_are_an_empty_object(arguments: str, noted: bool) -> None:
    rule = Rule(reply=Reply(tool_calls=(Call("f", arguments),)))
    case = JudgedCase(rule, Verdict("differs", "tool_calls", [("f", "{}")], []), NoResult("raised"))
    summary = described(ClientFailure(case)).summary
    assert ("note      empty arguments count as {}" in summary) is noted
