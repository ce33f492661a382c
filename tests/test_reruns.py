"""`--fakellm-vary` and `--fakellm-faults`: a test that passes runs again with its replies changed."""

from __future__ import annotations

import pytest

from fakellm.apis.route import CHAT
from fakellm.faults import Close
from fakellm.fuzzing.draws.families import ALL_FAMILIES
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule
from fakellm.testing.reruns import break_replies, vary
from fakellm.testing.reruns.break_replies import BrokenRun
from fakellm.testing.reruns.vary import Varied
from tests.conftest import LEAN, chat

APP = '''
import json, time, unittest, urllib.request
import openai, pytest

def lines(base_url, timeout=None):
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}).encode()
    request = urllib.request.Request(base_url + "/chat/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as response:
        yield from (line.decode() for line in response)

def deltas(line):
    return "".join(choice["delta"].get("content") or "" for choice in json.loads(line)["choices"])

def fragile(base_url):
    """Expects a space after the colon."""
    return "".join(deltas(line[6:]) for line in lines(base_url) if line.startswith("data: {\\"id"))

def robust(**options):
    with openai.OpenAI(max_retries=0, **options) as client:
        messages = [{"role": "user", "content": "Hi"}]
        with client.chat.completions.create(model="m", messages=messages, stream=True) as stream:
            return "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)

@pytest.fixture
def scripted(fakellm):
    fakellm.load({"rules": [{"reply": {"content": "Hello there"}}]})
    return fakellm
'''


def run(pytester: pytest.Pytester, code: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(APP + code)
    return pytester.runpytest_subprocess(*LEAN, *arguments)


FRAGILE_AND_ROBUST = """
def test_fragile(scripted):
    assert fragile(scripted.base_url) == "Hello there"

def test_robust(scripted):
    assert robust() == "Hello there"

class Case(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def server(self, fakellm):
        self.fakellm = fakellm

    def test_generated(self):
        assert robust()
"""


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_the_client_with_a_bug_is_found_and_no_other(pytester: pytest.Pytester, workers: str) -> None:
    result = run(pytester, FRAGILE_AND_ROBUST, "--fakellm-vary", "20", workers)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*test_fragile*",
            "*fakellm: how its client was answered*",
            "The test passes with the stream as the scenario has it, and fails if it is sent in another way, *",
            "   * (T[0-3]*)",
            "   Scenario:",
            "     - reply: {content: Hello there}",
            "       stream:*",
            "   On the wire *",
            "   To reproduce: pytest '*::test_fragile' --fakellm-vary 20",
        ]
    )


def test_the_failure_is_shrunk_to_one_step(pytester: pytest.Pytester) -> None:
    code = """
def test_fragile(scripted):
    assert fragile(scripted.base_url) == "Hello there"
"""
    result = run(pytester, code, "--fakellm-vary", "2")  # each run takes half of all steps
    result.assert_outcomes(failed=1)
    (steps,) = [line for line in result.outlines if line.startswith("   ") and "(T" in line]
    assert " with " not in steps


def test_what_tests_share_is_set_up_once(pytester: pytest.Pytester) -> None:
    code = """
@pytest.fixture(scope="module")
def shared():
    print("set up")
    yield
    print("torn down")

@pytest.fixture
def own():
    print("set up its own")
    yield

def test_one(shared, own, scripted):
    assert robust() == "Hello there"

def test_two(shared, scripted):
    assert robust() == "Hello there"
"""
    result = run(pytester, code, "--fakellm-vary", "3", "-s")
    result.assert_outcomes(passed=2)
    assert [result.outlines.count(line) + result.stdout.str().count(f".{line}") for line in ("torn down",)] == [1]
    assert result.stdout.str().count("set up its own") == 4


def test_a_test_that_fails_at_random_is_not_blamed_on_the_stream(pytester: pytest.Pytester) -> None:
    code = """
runs = []

def test_random(scripted):
    runs.append(robust())
    assert len(runs) != 3
"""
    result = run(pytester, code, "--fakellm-vary", "5")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["  not *::test_random: it failed with its replies unchanged when it ran again"])


def test_a_test_whose_replies_cannot_change_is_named(pytester: pytest.Pytester) -> None:
    code = """
import functools

ask = functools.cache(robust)

def test_cached(scripted):
    assert ask() == "Hello there"

def test_not_cached(scripted):
    assert robust() == "Hello there"
"""
    result = run(pytester, code, "--fakellm-vary", "2")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "fakellm: 1 of 2 tests that passed ran again with changed replies",
            "  not *::test_cached: no reply of its server could be changed",
        ]
    )


def test_a_test_of_an_error_is_left_alone(pytester: pytest.Pytester) -> None:
    code = """
def test_error(fakellm):
    fakellm.load({"rules": [{"reply": {}, "fault": {"kind": "status", "status": 500}}]})
    with pytest.raises(openai.APIError):
        robust()
"""
    run(pytester, code, "--fakellm-faults", "3").assert_outcomes(passed=1)


@pytest.mark.parametrize("option", ["--fakellm-vary", "--fakellm-faults"])
def test_a_test_that_fails_without_changes_fails_as_usual(pytester: pytest.Pytester, option: str) -> None:
    code = """
def test_wrong(scripted):
    assert robust() == "Bye"

@pytest.mark.xfail
def test_expected_to_fail(scripted):
    assert robust() == "Bye"

def test_skipped(scripted):
    pytest.skip("not today")

def test_without_the_fixture():
    pass
"""
    result = run(pytester, code, option, "5")
    result.assert_outcomes(failed=1, xfailed=1, skipped=1, passed=1)
    result.stdout.no_fnmatch_line("*how its client was answered*")


def test_an_error_while_shared_fixtures_are_torn_down_is_reported(pytester: pytest.Pytester) -> None:
    code = """
@pytest.fixture(scope="module")
def shared():
    yield
    raise OSError("it cannot be torn down")

def test_one(shared, scripted):
    assert robust()
"""
    run(pytester, code, "--fakellm-vary", "2").assert_outcomes(passed=1, errors=1)


def test_replies_of_functions_and_of_other_apis_vary_too(pytester: pytest.Pytester) -> None:
    code = """
def test_function(fakellm):
    fakellm.load({"rules": [{"reply": {"content": "{{ user }}!", "template": True}}]})
    assert fragile(fakellm.base_url) == "Hi!"

def test_messages(scripted):
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], "stream": True})
    headers = {"anthropic-version": "2023-06-01", "x-api-key": "k"}
    request = urllib.request.Request(scripted.url + "/v1/messages", body.encode(), headers)
    with urllib.request.urlopen(request) as response:
        assert b'data: {"type":"message_stop"' in response.read()
"""
    result = run(pytester, code, "--fakellm-vary", "20")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*test_messages*", "*event: message_start*"])


FAULTY = """
def test_content_with_whatever_arrives(scripted):
    try:
        fragile(scripted.base_url)
    except Exception:
        pass

def test_waits_for_ever(scripted):
    assert fragile(scripted.base_url) == "Hello there"

def test_notices(scripted):
    assert robust() == "Hello there"

def test_asks_again(scripted):
    with openai.OpenAI(max_retries=0, timeout=0.5) as client:
        for attempt in range(2):
            messages = [{"role": "user", "content": f"Hi, {attempt}"}]
            try:
                reply = client.chat.completions.create(model="m", messages=messages)
                break
            except openai.APIError:
                pass
        assert reply.choices[0].message.content == "Hello there"
"""


def test_what_passes_or_does_not_end_after_a_broken_reply_is_found(pytester: pytest.Pytester) -> None:
    code = FAULTY.replace("robust()", "robust(timeout=0.5)")
    result = run(pytester, code, "--fakellm-faults", "17", "--fakellm-patience", "2")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*test_content_with_whatever_arrives*",
            "The test passes although a reply of its client was broken, and no whole one was sent afterwards.*",
            "       fault: {kind: *}",
            "   To reproduce: pytest '*::test_content_with_whatever_arrives' --fakellm-faults 17",
            "*test_waits_for_ever*",
            "The test did not end within 2 s after a reply of its client was broken. The fault is 'stall'.",
        ]
    )


SLOW = """
@pytest.fixture
def slow():
    yield
    time.sleep(0.5)

def test_notices(scripted, slow):
    assert robust(timeout=0.2) == "Hello there"
"""


def test_only_the_test_itself_must_end_in_time(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
import time

def pytest_runtest_makereport(item, call):
    time.sleep(0.3)
"""
    )
    run(pytester, SLOW, "--fakellm-faults", "2", "--fakellm-patience", "0.4").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--fakellm-patience", value) for value in ("0", "-1", "nan", "inf", "soon")]
    + [("--fakellm-vary", "-1"), ("--fakellm-faults", "1.5")],
)
def test_an_option_must_be_a_number(pytester: pytest.Pytester, option: str, value: str) -> None:
    result = run(pytester, "", option, value)
    result.stderr.fnmatch_lines([f"*argument {option}: must be a *, got '{value}'*"])


def test_a_test_with_a_recording_runs_once(pytester: pytest.Pytester) -> None:
    code = """
@pytest.mark.fakellm_recording("http://127.0.0.1:9/v1")
def test_recorded(fakellm):
    print("it ran")
"""
    result = run(pytester, code, "--fakellm-vary", "3", "-s")
    result.assert_outcomes(passed=1)
    assert result.stdout.str().count("it ran") == 1


def test_the_steps_of_the_scenario_itself_are_not_blamed(pytester: pytest.Pytester) -> None:
    code = """
def test_fragile(fakellm):
    fakellm.load({"rules": [{"reply": {"content": "Hello there"}, "stream": {"split": "characters"}}]})
    assert fragile(fakellm.base_url) == "Hello there"
"""
    result = run(pytester, code, "--fakellm-vary", "20")
    result.assert_outcomes(failed=1)
    (steps,) = [line for line in result.outlines if line.startswith("   ") and "(T" in line]
    assert "split" not in steps


def test_a_run_remembers_little_however_much_a_test_asks() -> None:
    varied, broken = Varied(0, ALL_FAMILIES), BrokenRun(Close(frame=1), 1)
    rule = Rule(reply=Reply(content="Hi"), name="r", dialect="openai")
    digests = []
    for number in range(50):
        request = CHAT.parse(chat(user=f"Hi {number}", stream=True), {})
        varied(rule, request, CHAT, 0)
        digests.append(broken(rule, request, CHAT, 0).fault is not None)
    assert len(varied.sent) < 5
    assert digests == [False, True] + 48 * [False]
    assert (broken.attempts, broken.answered_later, len(broken._digests)) == (1, True, 2)


def test_a_great_number_of_runs_takes_no_memory() -> None:
    assert next(vary.runs(10**12)).families
    assert next(break_replies.runs(10**12)).fault
