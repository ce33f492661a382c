"""`fakellm fuzz` in long runs: its progress, its time limit, several jobs, and shards whose reports are merged."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from fakellm.cli import main
from fakellm.cli.fuzz import progress as fuzz_progress
from fakellm.cli.fuzz.progress import Progress
from fakellm.fuzzing.case_server import CaseServer
from fakellm.fuzzing.clients.client_function import FunctionClient
from fakellm.fuzzing.clients.client_process import Driver
from fakellm.fuzzing.report import run_report
from fakellm.fuzzing.reports.run_report import ReportedFailure, RunReport, RunSettings, merged
from fakellm.fuzzing.run import run
from fakellm.fuzzing.running.case_order import CasePart, cases_of, numbered
from fakellm.fuzzing.running.jobs import Jobs
from fakellm.fuzzing.running.judging import judged
from fakellm.fuzzing.saved_failures import Failures
from fakellm.fuzzing.search import Search
from fakellm.fuzzing.trial import Trial
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.server.scenario_app import App
from tests import wrong_clients as wrong

DRIVER = """\
import json, os, sys, urllib.request
for line in sys.stdin:
    case = json.loads(line)
    request = urllib.request.Request(case["base_url"] + "/chat/completions", json.dumps(case["request"]).encode())
    with urllib.request.urlopen(request) as response:
        body = response.read()
    chunks = [json.loads(line[5:]) for line in body.split(b"\\n") if line.startswith(b"data:") and b"{" in line]
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"] if not choice["index"])
    {bug}
    print(json.dumps({"id": case["id"], "content": text}), flush=True)
"""
"""A client of a stream without much framing that needs no library, so it starts at once."""
CALM = ("--profile", "standard", "--exclude", "sse", "--exclude", "transfer", "--exclude", "timing")
"""What remains is read by the driver."""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """The command of a driver that does this in addition for each case."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)

    def command(bug: str = "") -> list[str]:
        file = tmp_path / "driver.py"
        file.write_text(DRIVER.replace("{bug}", bug or "pass"))
        return [sys.executable, str(file)]

    return command


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which a second passes each time that it is read."""
    seconds = iter(range(10**6))
    monkeypatch.setattr(fuzz_progress, "monotonic", lambda: next(seconds))


def fuzz(*words: str) -> Result:
    return CliRunner().invoke(main, ["fuzz", *words])


@given(
    st.integers(0, 9), st.integers(1, 5), st.integers(1, 4).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n)))
)
@settings(max_examples=60)
def test_jobs_that_take_turns_try_the_cases_of_one(saved: int, number: int, shard: tuple[int, int]) -> None:
    search = Search(shard=shard)
    jobs = Jobs(number, (), 1.0, 1.0)
    each = [
        [
            *range(-1 - saved, -1)[place::number],
            *islice(filter(jobs._part(search, saved, place).__contains__, range(999)), 20),
        ]
        for place in range(number)
    ]
    turns = [case for turn in zip_longest(*each) for case in turn]
    whole = [*range(-1 - saved, -1), *range(shard[0] - 1, 999, shard[1])]
    assert turns[:20] == whole[:20]


def test_shards_divide_the_cases() -> None:
    examples = 90
    search = Search(profile="faults", examples=examples, seed=5)
    whole = list(islice(cases_of(search), examples))
    shards = [dict(numbered(search, CasePart(first, 3))) for first in range(3)]
    together = {number: rule for shard in shards for number, rule in shard.items()}
    assert [together[number] for number in range(examples)] == whole
    assert sum(map(len, shards)) == examples


CAUSES = st.sampled_from([("sse.space",), ("padding", "role: every"), ("differs", "content")])


def report_of(cases: list[tuple[int, tuple[str, ...]]], shard: tuple[int, int]) -> RunReport:
    """What a shard reports whose cases fail with these causes."""
    found: dict[tuple[str, ...], ReportedFailure] = {}
    for number, cause in sorted(cases):
        if number % shard[1] == shard[0] - 1:
            about: dict[str, Any] = dict.fromkeys(("tier", "title", "outcome", "summary", "text", "scenario"), "")
            failure = found.setdefault(cause, ReportedFailure(number=number, count=0, cause=cause, steps=(), **about))
            failure.count += 1
    settings = RunSettings(api="chat", profile="standard", seed=0, examples=99, max_failures=9)
    ours = len(range(shard[0] - 1, 99, shard[1]))
    return RunReport(
        settings=settings, shard=shard, cases=ours, failures=list(found.values()), internal={"KeyError": ours}
    )


@given(st.dictionaries(st.integers(0, 98), CAUSES), st.integers(1, 5), st.randoms())
@settings(max_examples=60)
def test_merged_shards_report_what_one_run_does(failing: dict[int, tuple[str, ...]], number: int, order: Any) -> None:
    shards = [report_of(list(failing.items()), (place + 1, number)) for place in range(number)]
    order.shuffle(shards)
    assert merged(shards) == report_of(list(failing.items()), (1, 1))


class TwiceWrong(wrong.NeedsSpace, wrong.NeedsChoices):
    """Two causes."""


def test_shards_of_a_run_find_what_it_does() -> None:
    search = Search(profile="standard", examples=40, max_failures=9)
    whole, *shards = (
        run_report(run(FunctionClient(TwiceWrong()), msgspec.structs.replace(search, shard=shard)))
        for shard in ((1, 1), (1, 2), (2, 2))
    )
    together = merged(shards)
    assert [each.cause for each in whole.failures] == [("sse.space",), ("padding: no_choices",)]
    assert together.tried.pop("plain") == whole.tried.pop("plain")
    for tier, steps in together.tried.items():  # in another order
        assert steps == whole.tried[tier]
    together.tried = whole.tried
    assert together == whole


FAILS_TWICE = "text += '!' * (len(chunks) > 40) + '?' * (b'\"choices\":[]' in body[:-400])"


def test_several_jobs_report_what_one_does(driver: Callable[[str], list[str]]) -> None:
    """Saved failures too: the first passes, the second fails."""
    words = [*CALM, "--examples", "40", "--max-failures", "2", "--", *driver(FAILS_TWICE)]
    for jobs in (1, 2):
        for title, rule in (("a", "{content: Hi}"), ("b", "{content: Hi}, stream: {padding: [{choices: false}]}")):
            Failures(f"of {jobs}").save("chat", f"rules: [{{reply: {rule}}}]", title)
    one, two = (fuzz("--failures", f"of {jobs}", f"--jobs={jobs}", *words) for jobs in (1, 2))
    assert (one.exit_code, two.exit_code) == (1, 1)
    assert re.match(r"2 failures in (?!2 )\d+ cases ", one.output)
    assert two.output.replace("of 2/", "of 1/") == one.output


def test_of_many_errors_of_a_type_only_the_first_case_is_kept() -> None:
    search = Search(profile="faults", examples=30, exclude=("drip", "stall"))
    with CaseServer() as server:
        trial = Trial(FunctionClient(wrong.Careful()), server)
        found = [each for each in judged(trial, numbered(search, CasePart())) if each.internal]
    kept = [each.internal for each in found if each.case]
    assert kept == list(dict.fromkeys(each.internal for each in found))
    assert len(kept) < len(found)


def test_the_rule_is_replaced_in_the_thread_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that gave up may still be answered there, and its request noted in the journal."""
    threads: list[str] = []
    load = App.load

    def noted(app: App, name: str, scenario: Scenario, strict: bool) -> None:
        threads.append(threading.current_thread().name)
        load(app, name, scenario, strict)

    monkeypatch.setattr(App, "load", noted)
    with CaseServer() as server:
        server.play(Rule(reply=Reply(content="a")))
    assert threads == ["fakellm"]


def spawned(*words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, whose number its drivers find in COMMAND."""
    start = ["sh", "-c", 'COMMAND=$$ exec "$@"', "sh", sys.executable, "-m", "fakellm", "fuzz", "--jobs", "2", *CALM]
    return subprocess.run([*start, *words], capture_output=True, text=True)


def test_a_job_that_dies_fails_the_run(driver: Callable[[str], list[str]]) -> None:
    done = spawned(
        "--", *driver("case['id'] < 9 or os.getppid() == int(os.environ['COMMAND']) or os.kill(os.getppid(), 9)")
    )
    assert done.returncode == 2
    assert re.match(r"no failures in \d cases \(profile standard, seed 0\)\n", done.stdout)
    assert done.stdout.endswith(
        "Cases are missing: job 1 of 2 ended with exit code -9; see what it wrote to standard error\n"
    )


def test_ctrl_c_ends_all_jobs_with_what_was_found(driver: Callable[[str], list[str]]) -> None:
    """Each driver writes down its process, and that of its job. The one that shrinks failures interrupts the command."""
    notes = "case['id'] > 1 or open('pids', 'a').write(f'{os.getpid()} {os.getppid()} ')"
    interrupts = "case['id'] != 60 or os.getppid() != int(os.environ['COMMAND']) or os.kill(os.getppid(), 2)"
    done = spawned("--max-failures", "9", "--examples", "99999", "--", *driver(f"{FAILS_TWICE}; {notes}; {interrupts}"))
    assert (done.returncode, done.stderr) == (130, "")
    assert re.match(r"\d failures? in \d+ cases? \(profile standard, seed 0\), then interrupted\n", done.stdout)
    for process in map(int, Path("pids").read_text().split()):
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_a_driver_whose_end_was_interrupted_is_ended_by_the_next_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that ends a job can arrive at any time. The driver is a process of its own, which nobody else ends."""
    client = Driver([sys.executable, "-c", "import os; input(); print(os.getpid(), flush=True); input()"], 5, 5)
    with monkeypatch.context() as patched:
        patched.setattr(os, "killpg", interrupted)
        with pytest.raises(KeyboardInterrupt):
            client.ask("http://127.0.0.1:1", {})  # its line is not an answer, so it is to be ended
    assert client._process
    process = client._process.pid
    os.kill(process, 0)
    client.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def interrupted(*_: int) -> None:
    raise KeyboardInterrupt


def test_a_client_that_cannot_be_tried_is_reported_once(driver: Callable[[str], list[str]]) -> None:
    done = fuzz("--jobs", "2", "--", "no-such-command")
    assert (done.exit_code, done.output) == (
        2,
        "fakellm fuzz: cannot start 'no-such-command': no such file or directory\n",
    )


def test_a_time_limit_ends_a_run_that_has_no_number_of_cases(driver: Callable[[str], list[str]], clock: None) -> None:
    done = fuzz("--max-time", "1.5m", "-q", *CALM, "--", *driver(""))
    assert (done.exit_code, done.output.splitlines()[0]) == (
        0,
        "no failures in 90 cases (profile standard, seed 0), then out of time",
    )
    done = fuzz("--max-time", "1h", "--examples", "5", "-q", *CALM, "--", *driver(""))
    assert done.output.startswith("no failures in 5 cases (profile standard, seed 0)\n")


def test_a_time_limit_ends_the_shrinking_of_a_failure_too(driver: Callable[[str], list[str]], clock: None) -> None:
    words = ["-q", "--profile", "standard", "--exclude", "transfer", "--", *driver("text += '!' * (len(chunks) > 9)")]
    early, late = (fuzz("--max-time", time, "--failures", time, *words).output for time in ("20s", "1h"))
    assert early.startswith("1 failure in 1 case (profile standard, seed 0), then out of time\n")
    assert late.startswith("1 failure in 1 case (profile standard, seed 0)\n")
    assert ("created: 17" in early, "created: 17" in late) == (True, False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_has_a_line_every_ten_seconds(clock: None, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(1000, None)
    with progress.shown():
        for cases in range(1, 25):
            progress.show(cases, failures=cases // 10, shrinks=cases > 12)
    assert capsys.readouterr().err == (
        "fakellm fuzz: 10 of 1,000 cases, 1/s, 1 failure\n"
        "fakellm fuzz: 20 of 1,000 cases, 1/s, 2 failures, shrinking …\n"
    )


@pytest.mark.parametrize(("cases", "seconds", "percent"), [(40, None, "60%"), (None, 48, "50%"), (40, 32, "75%")])
def test_a_terminal_has_a_bar(
    cases: int | None, seconds: float | None, percent: str, clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress(cases, seconds)
    with progress.shown():
        for number in range(1, 25):
            progress.show(number, failures=2, shrinks=number == 24)
    states = terminal.getvalue().split("\r")
    of = f" of {cases}" if cases else ""
    assert re.search(rf"\[#+-+\] +{percent} .* 24{of} cases, 1/s, 2 failures, shrinking …", states[-1])
    assert "shrinking" not in states[-2]


def test_no_color_has_lines_on_a_terminal_too(clock: None, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    progress = Progress(1)
    with progress.shown():
        for _ in range(11):
            progress.show(1)
    assert terminal.getvalue() == "fakellm fuzz: 1 of 1 case, 0/s\n"


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_a_quiet_run_shows_nothing(
    stream: type[io.StringIO], driver: Callable[[str], list[str]], clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = stream()
    monkeypatch.setattr(sys, "stderr", file)
    progress = Progress(9, quiet=True)
    with progress.shown():
        for number in range(50):
            progress.show(number)
    assert file.getvalue() == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--max-time", "10"], "expected a time above 0 such as 90s, 10m or 1.5h, got '10'"),
        (["--max-time", "0s"], "expected a time above 0"),
        (["--max-time", "-1s"], "expected a time above 0"),
        (["--jobs", "0"], "0 is not in the range x>=1"),
        (["--shard", "0/8"], "expected the number of a shard and of all shards, such as 2/8, got '0/8'"),
        (["--shard", "9/8"], "such as 2/8, got '9/8'"),
        (["--shard", "2"], "such as 2/8, got '2'"),
        (["--replay", "a.yaml", "--jobs", "2"], "--jobs has no effect with --replay: leave it out"),
        (["--matrix", "--junit", "a.xml"], "--junit has no effect with --matrix: leave it out"),
        (["--matrix", "--shard", "1/2"], "--shard has no effect with --matrix: leave it out"),
        (["--merge", "--seed", "1"], "--seed has no effect with --merge: leave it out"),
    ],
)
def test_options_that_cannot_be_are_refused(words: list[str], message: str) -> None:
    done = fuzz(*words, "--", "true")
    assert done.exit_code == 2
    assert message in done.output
