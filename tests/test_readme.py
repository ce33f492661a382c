"""Every example in README runs, as it stands there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

import fakellm
from fakellm.apis.route import HOMES
from fakellm.recordings.formats import read_file
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- (?:test|run): (\w+) -->\n)?```(\w*)\n(.*?)```", re.DOTALL)
EXAMPLES: list[tuple[str, str, str]] = BLOCK.findall(README)


def examples(mark: str) -> list[str]:
    found = [code for marked, _, code in EXAMPLES if marked == mark]
    assert found, f"README has no example marked {mark!r}"
    return found


def test_no_example_is_left_out() -> None:
    unmarked = [code for mark, language, code in EXAMPLES if not mark and language]
    assert len(unmarked) == 1  # the curl request, which runs below
    assert unmarked[0].startswith("curl -N http://127.0.0.1:8080/")


@pytest.mark.parametrize("code", examples("pytest"))
def test_a_test_in_the_readme_passes(code: str, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(code)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


@pytest.mark.parametrize("code", examples("python"))
def test_a_script_in_the_readme_runs(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("code", examples("scenario"))
def test_a_scenario_in_the_readme_serves_both_turns(code: str) -> None:
    asked = [{"role": "user", "content": "How cold is it in Oslo?"}]
    tools = [{"type": "function", "function": {"name": "weather"}}]
    with fakellm.serve(code, strict=True) as server:
        for turn in (asked, [*asked, {"role": "assistant", "content": ""}]):
            body = {"model": "gpt-5", "messages": turn, "tools": tools, "stream": True}
            assert httpx2.post(server.base_url + "/chat/completions", json=body).text.endswith("data: [DONE]\n\n")
        assert [entry.rule for entry in server.journal] == ["ask-the-tool", "weather#2"]


@pytest.fixture
def served() -> Iterator[str]:
    """The URL of a server started with the arguments of README's command, but for the port."""
    arguments = shlex.split(examples("main")[0])
    arguments = arguments[arguments.index("serve") :]
    with started("serve", *arguments[1:], folder=ROOT) as url:
        yield url


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_request_to_copy_shows_a_stream(served: str) -> None:
    curl = next(code for _, _, code in EXAMPLES if code.startswith("curl"))
    command = shlex.split(curl.replace("http://127.0.0.1:8080", served))
    shown = subprocess.run(["curl", "-sS", *command[1:]], check=True, capture_output=True, text=True).stdout
    frames = shown.split("\n\n")
    assert len(frames) == 140
    assert frames[-2:] == ["data: [DONE]", ""]
    assert sum('"delta":{}}' in frame for frame in frames) == 133


def test_the_fuzzer_finds_what_the_readme_promises(tmp_path: Path) -> None:
    command = shlex.split(examples("fuzz")[0].rpartition("&&")[2])
    command = [sys.executable, "-m", *(word if word != ".venv/bin/python" else sys.executable for word in command)]
    command[2] = "fakellm"
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert found.returncode == 1, found.stderr
    assert "sse." in found.stdout + found.stderr


@contextmanager
def started(*arguments: str, folder: Path) -> Iterator[str]:
    """The URL of a command that serves, on a free port."""
    command = [sys.executable, "-m", "fakellm", *arguments, "--port", "0", "--ready", "json"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_a_recording_made_with_curl_is_served_imported_and_made_anew(served: str, tmp_path: Path) -> None:
    curl, replay, import_, record = examples("recordings")[0].splitlines()
    ask = curl.replace("http://127.0.0.1:8080", served)
    subprocess.run(ask, cwd=tmp_path, shell=True, check=True)  # the redirection is the reader's shell's
    said = (tmp_path / "hi.sse").read_bytes()
    assert said.endswith(b"data: [DONE]\n\n")
    subprocess.run([sys.executable, "-m", *shlex.split(import_)], cwd=tmp_path, check=True, capture_output=True)
    with started("serve", "hi.yaml", "--strict", folder=tmp_path) as url:
        assert httpx2.post(url + "/v1/chat/completions", json=HI).content == said
    with started(*shlex.split(replay.partition(" --port")[0])[1:], folder=tmp_path) as url:
        assert httpx2.post(url + "/v1/chat/completions", json=HI).content == said
    recording = record.partition(" --port")[0].replace("http://127.0.0.1:8080", served)
    with started(*shlex.split(recording)[1:], folder=tmp_path) as url:
        assert httpx2.post(url + "/v1/chat/completions", json=HI).content == said
    assert read_file(tmp_path / "session.jsonl").interactions[0].response.body == said


HI = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}


def test_the_number_of_dialects_is_right() -> None:
    assert f"the provider's wire format: {sum(len(home.dialects) for home in HOMES.values())} of them, by API" in README
