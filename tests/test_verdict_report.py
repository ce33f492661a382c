"""`pytest --fakellm-report`: the verdicts of all tests, on the terminal or in a file."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

import fakellm
from fakellm.testing.verdict_report import checked_file, lines, write

CODE = """
import json, os, urllib.error, urllib.request

def ask(times):
    for _ in range(times):
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}).encode()
        try:
            urllib.request.urlopen(os.environ["OPENAI_BASE_URL"] + "/chat/completions", body).read()
        except urllib.error.HTTPError:
            pass

def test_good(fakellm):
    ask(2)

def test_bad(fakellm):
    fakellm.load({"rules": [{"reply": {}, "fault": {"kind": "status", "status": 401}}]})
    ask(2)

def test_sends_nothing(fakellm):
    pass

def test_other():
    pass
"""
SUMMARY = "2 tests sent 4 requests to models; 1 test has findings"
MESSAGE = "request 1 got status 401, and was sent again as request 2"
FINDING = {
    "rule": "retried-refusal",
    "message": MESSAGE,
    "requests": [1, 2],
    "docs": "docs/reference/verdict.md#retried-refusal",
}


def test_the_report_is_printed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CODE)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--fakellm-report")
    result.assert_outcomes(passed=4)
    test = "test_the_report_is_printed.py::test_bad"
    finding = f"- retried-refusal: {MESSAGE}: docs/reference/verdict.md#retried-refusal"
    result.stdout.fnmatch_lines(
        ["*fakellm: what the clients did*", f"{test}: 1 finding in 2 requests", finding, SUMMARY]
    )
    result.stdout.no_fnmatch_line("*test_good*")


def test_the_report_of_workers_is_written(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CODE)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n", "1", "--fakellm-report=report.json")
    result.stdout.fnmatch_lines(["fakellm: what the clients did is in report.json"])
    tests = json.loads((pytester.path / "report.json").read_text(encoding="utf-8"))["tests"]
    assert {test.partition("::")[2]: verdict for test, verdict in tests.items()} == {
        "test_good": {"requests": 2, "findings": []},
        "test_bad": {"requests": 2, "findings": [FINDING]},
        "test_sends_nothing": {"requests": 0, "findings": []},
    }


def test_the_report_in_markdown(tmp_path: Path) -> None:
    write({"a.py::test[x|y]": {"requests": 2, "findings": [FINDING]}}, str(tmp_path / "report.md"))
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == (
        "# What the clients did\n\n1 test sent 2 requests to models; 1 test has findings.\n\n"
        "| test | rule | what happened |\n|---|---|---|\n"
        f"| `a.py::test[x\\|y]` | retried-refusal | {MESSAGE} |\n"
    )


@pytest.mark.parametrize(
    ("findings", "having"),
    [
        ([0, 0], "no tests have findings"),
        ([0, 2], "1 test has findings"),
        ([1, 1], "2 tests have findings"),
    ],
)
def test_the_summary(findings: list[int], having: str) -> None:
    verdicts = {f"test_{number}": {"requests": 1, "findings": [FINDING] * many} for number, many in enumerate(findings)}
    *_, summary = lines(verdicts)
    assert summary == f"2 tests sent 2 requests to models; {having}"


@pytest.mark.parametrize(("folder", "status"), [("new/er", 0), ("a_file", 4)])
def test_the_folder_of_the_report_is_made_or_the_run_does_not_start(
    pytester: pytest.Pytester, folder: str, status: int
) -> None:
    pytester.makepyfile("def test(): pass")
    pytester.makefile("", a_file="")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", f"--fakellm-report={folder}/report.md")
    assert result.ret == status
    if status:
        result.stderr.fnmatch_lines([f"ERROR: --fakellm-report: cannot write {folder}/report.md: *"])
    else:
        assert (pytester.path / folder / "report.md").read_text(encoding="utf-8").startswith("# What the clients did")


def test_a_folder_of_tests_is_not_taken_for_the_file() -> None:
    with pytest.raises(
        ArgumentTypeError, match=r"^must end in \.json or \.md, got 'tests/'; to print the report, put "
    ):
        checked_file("tests/")


def test_the_handle_of_any_server_has_a_verdict() -> None:
    with fakellm.serve() as server:
        assert str(server.verdict()) == "no findings in no requests"
