"""The pytest plugin, in pytest runs of its own."""

from __future__ import annotations

import shutil

import pytest

import fakellm
from tests.conftest import LEAN

PREAMBLE = """
import json, os, urllib.request

def ask(url=None):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}).encode()
    url = (url or os.environ["OPENAI_BASE_URL"]) + "/chat/completions"
    return json.load(urllib.request.urlopen(url, body))["choices"][0]["message"]["content"]
"""


def run(pytester: pytest.Pytester, code: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(PREAMBLE + code)
    return pytester.runpytest_subprocess(*LEAN, *arguments)


def test_each_test_has_a_fresh_session_and_the_environment_of_the_sdks(pytester: pytest.Pytester) -> None:
    code = """
def test_one(fakellm):
    assert os.environ["OPENAI_BASE_URL"] == os.environ["OPENAI_API_BASE"] == fakellm.base_url
    assert os.environ["OPENAI_API_KEY"] == "fakellm"
    assert fakellm.env.items() <= os.environ.items()
    assert "GEMINI_API_KEY" not in os.environ  # Google's SDKs warn of it beside GOOGLE_API_KEY
    assert os.environ["ANTHROPIC_BASE_URL"] == os.environ["OLLAMA_HOST"] == fakellm.url
    assert "127.0.0.1" in os.environ["NO_PROXY"]
    fakellm.load({"rules": [{"reply": {"content": "Scripted"}}]})
    assert ask() == "Scripted"
    assert [entry.rule for entry in fakellm.journal] == ["scenario#1"]

def test_two(fakellm):
    assert ask() != "Scripted"
    assert [entry.rule for entry in fakellm.journal] == ["generated"]

def test_three():
    assert "OPENAI_BASE_URL" not in os.environ
"""
    run(pytester, code).assert_outcomes(passed=3)


def test_a_client_of_azure_needs_no_settings(pytester: pytest.Pytester) -> None:
    code = """
import openai

def test_azure(fakellm):
    fakellm.load({"rules": [{"when": {"model": "my-deployment"}, "reply": {"content": "Hi"}}]})
    messages = [{"role": "user", "content": "Hello"}]
    reply = openai.AzureOpenAI().chat.completions.create(model="my-deployment", messages=messages)
    assert reply.choices[0].message.content == "Hi"
"""
    run(pytester, code).assert_outcomes(passed=1)


def test_a_request_that_no_rule_matches_fails_the_test(pytester: pytest.Pytester) -> None:
    code = """
def test_swallows(fakellm):
    fakellm.load({"rules": [{"when": {"model": "gpt-*"}, "reply": {"content": "Hi"}}]})
    try:
        ask()
    except urllib.error.HTTPError as error:
        assert error.code == 404
"""
    result = run(pytester, code)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "fakellm: no rule answered",
            "request 1, POST /s/*test_swallows/v1/chat/completions: No rule matches this request. "
            "The nearest is 'scenario#1'; it differs in model: expected 'gpt-?', got 'm'.",
        ]
    )


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("urllib.request.urlopen(base + '/chat/completion', b'{}')", "Unknown request URL: POST *"),
        ("urllib.request.urlopen(base + '/chat/completions')", "Not allowed to GET *"),
        ("urllib.request.urlopen(base + '/rerank', b'{}')", "*fakellm does not serve Cohere's API.*"),
    ],
)
def test_an_unknown_url_or_method_fails_the_test(pytester: pytest.Pytester, code: str, told: str) -> None:
    test = f"""
def test_swallows(fakellm):
    base = os.environ["OPENAI_BASE_URL"]
    try:
        {code}
    except urllib.error.HTTPError:
        pass
"""
    result = run(pytester, test)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["fakellm: no rule answered", f"request 1, *: {told}"])


def test_an_unmatched_request_that_the_journal_dropped_fails_the_test(pytester: pytest.Pytester) -> None:
    code = """
import pytest
from fakellm import serve

@pytest.fixture(scope="session")
def fakellm_server():
    with serve(journal_bytes=0) as server:
        yield server

def test_swallows(fakellm):
    try:
        ask(os.environ["OPENAI_BASE_URL"] + "/nowhere")
    except urllib.error.HTTPError:
        pass
    ask()
    assert len(fakellm.journal) == 1
"""
    result = run(pytester, code)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["fakellm: no rule answered", "earlier requests, which the journal no longer has: 1"])


def test_it_is_safe_under_xdist(pytester: pytest.Pytester) -> None:
    code = """
import pytest

@pytest.mark.parametrize("number", range(20))
def test_apart(fakellm, number):
    fakellm.load({"rules": [{"reply": {"content": str(number)}}]})
    assert ask() == str(number)
    assert len(fakellm.journal) == 1
"""
    run(pytester, code, "-n", "2").assert_outcomes(passed=20)


def test_the_server_of_a_run_can_be_had_by_itself(pytester: pytest.Pytester) -> None:
    code = """
def test_server(fakellm_server):
    assert ask(fakellm_server.base_url)
"""
    run(pytester, code).assert_outcomes(passed=1)


RECORDED = """
import pytest

UPSTREAM = os.environ["UPSTREAM"]
RECORDS = "RECORDS" in os.environ
KEY = os.environ["OPENAI_API_KEY"]

@pytest.mark.fakellm_recording(UPSTREAM)
def test_one(fakellm):
    assert ask() == "Recorded"
    assert os.environ["OPENAI_API_KEY"] == (KEY if RECORDS else "fakellm")

    assert ("GEMINI_API_KEY" in os.environ) == RECORDS
    assert os.environ.get("GOOGLE_API_KEY") == (None if RECORDS else "fakellm")

@pytest.mark.fakellm_recording(UPSTREAM, file="saved/two.jsonl")
def test_two(fakellm):
    assert ask() == "Recorded"

@pytest.mark.fakellm_recording(UPSTREAM)
def test_fails(fakellm):
    ask()
    assert False

@pytest.mark.fakellm_recording(UPSTREAM)
def test_sends_nothing(fakellm):
    pass

@pytest.mark.fakellm_recording
def test_bare(fakellm):
    assert ask() == "Recorded"
"""


def test_a_marker_records_once_and_then_replays(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789-of-the-real-api")
    monkeypatch.setenv("GEMINI_API_KEY", "of-the-real-api")
    with fakellm.serve({"rules": [{"reply": {"content": "Recorded"}}]}) as upstream:
        monkeypatch.setenv("UPSTREAM", upstream.base_url)
        monkeypatch.setenv("RECORDS", "1")
        result = run(pytester, RECORDED)
        result.assert_outcomes(passed=3, failed=1, errors=1)
        remedy = "*there is no recording *test_bare.jsonl: @pytest.mark.fakellm_recording(*) makes it*"
        result.stdout.fnmatch_lines([remedy])
        assert len(upstream.journal) == 3
    files = sorted(file for file in pytester.path.rglob("*.jsonl"))
    assert [str(file.relative_to(pytester.path)) for file in files] == [
        "recordings/test_a_marker_records_once_and_then_replays/test_one.jsonl",
        "saved/two.jsonl",
    ]
    monkeypatch.delenv("RECORDS")  # and the API is gone
    shutil.copy(files[0], files[0].with_name("test_bare.jsonl"))
    run(pytester, RECORDED, "-k", "one or two or bare").assert_outcomes(passed=3)
    run(pytester, PREAMBLE.replace('"Hi"', '"Ho"') + RECORDED, "-k", "two").assert_outcomes(failed=1, errors=1)
