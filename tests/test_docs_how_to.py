"""Every example of the recipes and the tutorials runs as it stands there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from click.testing import CliRunner

import fakellm
from fakellm.cli import main
from fakellm.fuzzing import FuzzError
from fakellm.recordings.formats import read_file
from fakellm.scenarios.loader import load
from tests.conftest import LEAN, ROOT

FOLDERS = ("tutorials", "how-to", "explanation")
WITH_A_TEST = {"production", "javascript", "drivers", "clients"}
"""Pages with a test of their own."""
BLOCK = re.compile(r"(?:<!-- ([\w]+)(?:: (\S+))? -->\n)?```(\w*)\n(.*?)```", re.DOTALL)
PAGES = {
    page.stem: BLOCK.findall(page.read_text(encoding="utf-8"))
    for folder in FOLDERS
    for page in sorted((ROOT / "docs" / folder).glob("*.md"))
    if page.stem not in WITH_A_TEST
}


def examples(mark: str, name: str = "") -> list[tuple[str, str]]:
    """The page and the code of each example with this mark."""
    return [
        (page, code) for page, blocks in PAGES.items() for kind, what, _, code in blocks if (kind, what) == (mark, name)
    ]


def files(page: str) -> dict[str, str]:
    """The files of a page, by their names."""
    return {what: code for kind, what, _, code in PAGES[page] if kind == "file"}


def shown(page: str, name: str) -> str:
    """What a page shows under this name."""
    text: str
    (text,) = [code for kind, what, _, code in PAGES[page] if (kind, what) == ("shown", name)]
    return text


def arguments(line: str) -> list[str]:
    """The arguments of a command `fakellm`, which click accepts."""
    name, *words = shlex.split(line)[1:]
    command = main.get_command(main.make_context("fakellm", [name]), name)
    assert command is not None
    command.make_context(name, list(words))
    return [name, *words]


def test_no_example_is_left_out() -> None:
    unmarked = [
        (page, code)
        for page, blocks in PAGES.items()
        for kind, _, language, code in blocks
        if not kind and language in ("yaml", "go", "json", "js", "dockerfile")
    ]
    assert unmarked == []
    kinds = {
        (kind, "" if kind in ("file", "shown") else what) for blocks in PAGES.values() for kind, what, _, _ in blocks
    }
    assert kinds == {
        ("", ""),
        ("file", ""),
        ("shown", ""),
        ("before", ""),
        *(("test", name) for name in ("pytest", "scenario", "script", "unittest")),
        *(("run", name) for name in ("init", "curl", "schema", "import", "record")),
        *((kind, "mock") for kind in ("before", "after")),
        ("after", "vcrpy"),
    }


def test_the_tests_pass_and_the_failure_reads_as_it_is_shown(pytester: pytest.Pytester) -> None:
    """One run, since its imports cost more than the tests."""
    tests = [
        code
        for mark in ("test: pytest", "before: mock", "after: mock", "after: vcrpy")
        for _, code in examples(*mark.split(": "))
    ]
    written = files("test-an-app") | files("coming-from")
    programs = {name.removesuffix(".py"): code for name, code in written.items() if name.endswith(".py")}
    pytester.makepyfile(**programs, **{f"test_example_{number}": code for number, code in enumerate(tests)})
    pytester.mkdir("cassettes").joinpath("weather.yaml").write_text(cassette())
    result = pytester.runpytest_subprocess(*LEAN)
    passing = [*tests, *(code for name, code in programs.items() if name.startswith("test_") and name != "test_fails")]
    result.assert_outcomes(passed=sum(code.count("def test_") for code in passing), failed=1, errors=1)
    failure = shown("test-an-app", "test_fails.py").replace("\nuser:", " user:").replace("…", "*")
    result.stdout.fnmatch_lines(failure.splitlines())


def cassette() -> str:
    """A recording of the app of the page, as vcrpy writes it."""
    request = {"model": "gpt-5", "messages": [{"role": "user", "content": "How is the weather?"}]}
    message = {"role": "assistant", "content": "It is 3 °C."}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "gpt-5", "choices": [choice]}
    uri = "https://api.openai.com/v1/chat/completions"
    interaction = {
        "request": {"method": "POST", "uri": uri, "body": json.dumps(request), "headers": {}},
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"content-type": ["application/json"]},
            "body": {"string": json.dumps(body)},
        },
    }
    return yaml.safe_dump({"version": 1, "interactions": [interaction]})


def test_the_fuzzer_finds_the_bugs_of_the_tutorial_until_they_are_fixed() -> None:
    first, last = [code for kind, what, _, code in PAGES["fuzz-a-client"] if (kind, what) == ("file", "client.py")]
    (fix,) = [code for kind, _, _, code in PAGES["fuzz-a-client"] if not kind and "choice.get" in code]
    fixed = first.replace('                        text += choice["delta"].get("content") or ""\n', fix)
    assert fixed != first
    for code, profile in ((first, "realistic"), (fixed, "standard")):
        with pytest.raises(FuzzError) as failure:
            fakellm.fuzz(reader(code), profile=profile, failures=None)
        assert shown("fuzz-a-client", profile) in f"{failure.value}"
    assert fakellm.fuzz(reader(last), profile="standard", failures=None).cases == 200


def reader(code: str) -> Any:
    """The client that a file defines."""
    names: dict[str, Any] = {}
    exec(compile(code, "client.py", "exec"), names)
    return names["read"]


@pytest.mark.parametrize(("page", "code"), examples("test", "scenario"))
def test_a_scenario_loads(page: str, code: str) -> None:
    assert load(code).rules


@pytest.mark.parametrize(("page", "code"), examples("test", "script"), ids=lambda value: value[:12])
def test_a_script_runs(page: str, code: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_the_unittest_passes_and_can_fail(tmp_path: Path) -> None:
    ((_, code),) = examples("test", "unittest")
    program, end = code.split("\n\nif __name__")
    (case,) = re.findall(r"^class TestAnswers.*", program, re.MULTILINE | re.DOTALL)
    broken = case.replace("TestAnswers", "TestBroken").replace("How is the weather?", "What time is it?")
    (tmp_path / "test_answers.py").write_text(f"{program}\n\n{broken}\n\nif __name__{end}")
    done = subprocess.run([sys.executable, "test_answers.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "test_an_answer (__main__.TestAnswers" not in done.stderr
    assert "FAIL: test_an_answer (__main__.TestBroken" in done.stderr
    assert "Ran 2 tests" in done.stderr


@pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed")
def test_the_tests_in_go_pass(tmp_path: Path) -> None:
    for name, code in files("go").items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    (tmp_path / "go.mod").write_text("module app\n\ngo 1.18\n")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["go", "test", "-vet=off", "./..."]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_container_starts_the_server_with_options_that_it_has() -> None:
    services = yaml.safe_load(files("docker")["compose.yaml"])["services"]
    words = arguments(f"fakellm {services['fakellm']['command']}")
    assert words[words.index("--allow-host") + 1] in services
    assert "http://fakellm:8080/v1" in services["app"]["environment"].values()


@pytest.mark.parametrize("name", ["tests.yml", "fuzz.yml"])
def test_a_workflow_runs_commands_that_there_are(name: str) -> None:
    jobs = yaml.safe_load(files("github-actions")[name])["jobs"]
    lines = [line for job in jobs.values() for step in job["steps"] for line in step.get("run", "").splitlines()]
    commands = [line.partition(" > ")[0] for line in lines if line.startswith("fakellm ")]
    assert commands
    assert all(arguments(command) for command in commands)


def test_editors_have_the_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import jsonschema

    ((_, command),) = examples("run", "schema")
    written = CliRunner().invoke(main, arguments(command.partition(" >")[0]))
    scenario = yaml.safe_load(files("editors")["scenario.yaml"])
    jsonschema.validate(scenario, json.loads(written.output))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"rules": [{"wenn": {}, **scenario["rules"][0]}]}, json.loads(written.output))
    assert json.loads(files("editors")["settings.json"])["yaml.schemas"]
    (hook,) = yaml.safe_load(files("editors")[".pre-commit-config.yaml"])["repos"][0]["hooks"]
    monkeypatch.chdir(tmp_path)
    Path("scenario.yaml").write_text(files("editors")["scenario.yaml"])
    assert CliRunner().invoke(main, [*arguments(f"{hook['entry']} scenario.yaml")]).exit_code == 0


def test_the_fixtures_of_aimock_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fixtures.json").write_text(files("coming-from")["fixtures.json"])
    ((_, command),) = examples("run", "import")
    assert CliRunner().invoke(main, arguments(command)).exit_code == 0
    (rule,) = load(tmp_path / "scenario.yaml").rules
    assert (rule.when.user, rule.reply.content) == ("weather", "It is 3 °C.")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_server_of_the_tutorial_answers_its_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ((_, code),) = examples("run", "init")
    init, serve = code.splitlines()
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, arguments(init)).exit_code == 0
    command = [sys.executable, "-m", "fakellm", *arguments(serve), "--port", "0", "--speed", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            lines = [process.stdout.readline() for _ in range(3)]
            url = lines[1].split()[-1]
            assert "".join(lines) == shown("serve-any-language", "ready").replace("http://127.0.0.1:8080", url)
            replies = [
                subprocess.run(
                    shlex.split(line.replace("http://127.0.0.1:8080", url)), capture_output=True, text=True, check=True
                ).stdout
                for _, line in examples("run", "curl")
            ]
        finally:
            process.terminate()
    weather, story, message, journal = replies
    assert json.loads(weather)["choices"][0]["message"]["content"] == "It is 3 °C in Oslo."
    assert story.endswith("data: [DONE]\n\n")
    assert json.loads(message)["content"][0]["text"] == "It is 3 °C in Oslo."
    assert [entry["rule"] for entry in json.loads(journal)["entries"]] == ["weather", "slow", "weather"]


def test_the_variables_of_the_tutorial_are_those_of_the_sdks() -> None:
    text = (ROOT / "docs" / "tutorials" / "serve-any-language.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| \w+ \| `(\w+)` \| `(.+)` \|$", text, re.MULTILINE))
    with fakellm.serve() as server:
        assert len(rows) == 4
        assert {name: server.env[name] for name in rows} == {
            name: value.replace("http://127.0.0.1:8080", server.url) for name, value in rows.items()
        }


HI = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}


@contextmanager
def started(*arguments: str, folder: Path) -> Iterator[str]:
    """The URL of a command that serves, on a free port."""
    command = [sys.executable, "-m", "fakellm", *arguments, "--port", "0", "--ready", "json"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_recording_made_with_curl_is_served_imported_and_made_anew(tmp_path: Path) -> None:
    ((_, code),) = examples("run", "record")
    curl, replay, import_, record = code.splitlines()
    with fakellm.serve() as upstream:
        ask = curl.replace("http://127.0.0.1:8080", upstream.url)
        subprocess.run(ask, cwd=tmp_path, shell=True, check=True)  # the redirection is the reader's shell's
        body = (tmp_path / "hi.sse").read_bytes()
        assert body.endswith(b"data: [DONE]\n\n")
        subprocess.run([sys.executable, "-m", *shlex.split(import_)], cwd=tmp_path, check=True, capture_output=True)
        with started("serve", "hi.yaml", "--strict", folder=tmp_path) as url:
            assert httpx2.post(url + "/v1/chat/completions", json=HI).content == body
        with started(*shlex.split(replay.partition(" --port")[0])[1:], folder=tmp_path) as url:
            assert httpx2.post(url + "/v1/chat/completions", json=HI).content == body
        recording = record.partition(" --port")[0].replace("http://127.0.0.1:8080", upstream.url)
        with started(*shlex.split(recording)[1:], folder=tmp_path) as url:
            assert httpx2.post(url + "/v1/chat/completions", json=HI).content == body
    assert read_file(tmp_path / "session.jsonl").interactions[0].response.body == body


def test_the_messages_of_the_page_are_those_of_the_code() -> None:
    text = (ROOT / "docs" / "how-to" / "troubleshooting.md").read_text(encoding="utf-8")
    code = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "fakellm").rglob("*.py"))
    messages = set(re.findall(r"^### `(.+)`$", text, re.MULTILINE)) - {"Connection refused"}  # the system's
    assert len(messages) == 6
    assert {message for message in messages if message not in code} == set()
