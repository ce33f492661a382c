"""`fakellm check`, `render` and `schema`; and `serve`, which follows the files it serves."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from inspect import signature
from pathlib import Path
from typing import Any

import click
import httpx2
import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from fakellm.apis.route import HOMES
from fakellm.cli import main, serving
from fakellm.cli.beside import reload
from fakellm.cli.beside.reload import Files, follow, serve_reading
from fakellm.engine.render import render
from fakellm.importing.example_request import sample
from fakellm.recordings.formats import read_file
from fakellm.scenarios.editor_schema import scenario_schema
from fakellm.scenarios.loader import Reading, dump, load, read
from fakellm.server.http_server import Server
from fakellm.server.scenario_app import App, HttpRequest
from tests.conftest import ROOT, chat, respond
from tests.test_bad_scenarios import BAD
from tests.test_handle import command

SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
TURNS = """\
rules:
- name: first
  when: {turn: 1, tools: [add], model: gpt-5}
  reply: {content: One two}
  timing: {first: 0.5, gap: 0.25}
  fault: {kind: close, frame: 3, times: 2}
- {name: second, when: {turn: 2}, reply: {content: Two}}
- {name: echo, when: {user: hi}, reply: {content: "{{user}}", template: true}, then: [{reply: {content: Again}}]}
"""


def runner() -> CliRunner:
    """A runner that keeps standard error apart from standard output, which click before 8.2 does only on request."""
    apart = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}
    return CliRunner(**apart)  # type: ignore[arg-type] # the parameter is gone from the release that is checked


def run(*arguments: str | Path) -> Result:
    return runner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def turns(tmp_path: Path) -> Path:
    file = tmp_path / "turns.yaml"
    file.write_text(TURNS)
    return file


def test_check_names_keys_without_an_effect(tmp_path: Path) -> None:
    rule = (
        "{when: {api: completions}, reply: {content: a}, stream: {split: 2, reasoning: think, calls: {index: absent}, "
        "ollama: {fraction: 9}}}"
    )
    other = rule.replace("completions", "chat")
    (tmp_path / "a.yaml").write_text(f"rules:\n- {rule}\n- {other}\n")
    checked = run("check", tmp_path / "a.yaml")
    assert checked.exit_code == 0
    assert checked.output.splitlines()[1:] == [
        f"{tmp_path / 'a.yaml'}: scenario#1: stream.calls.index has no effect in completions",
        f"{tmp_path / 'a.yaml'}: scenario#1: stream.reasoning has no effect in completions",
        f"{tmp_path / 'a.yaml'}: scenario#1: stream.ollama has no effect in completions",
        f"{tmp_path / 'a.yaml'}: scenario#2: stream.ollama has no effect in chat",
    ]


def test_check_names_what_is_not_a_scenario(tmp_path: Path) -> None:
    file = tmp_path / "test_g.py"
    file.write_text("def test_a(fakellm):\n    fakellm.reply({'a': 1})\n")
    assert run("check", file).stderr == f"{file}: not a scenario (.yaml, .yml, .json)\n"


def test_check_reports_every_problem(turns: Path, tmp_path: Path) -> None:
    good = run("check", turns, *SCENARIOS)
    assert (good.exit_code, good.stdout.splitlines()[0]) == (0, f"{turns}: 3 rules of scenario")
    for name in ("b", "c"):
        (tmp_path / f"{name}.yaml").write_text("rules:\n- {reply: {contnt: x}}\n- {reply: {}, name: 3}\n")
    bad = run("check", turns, tmp_path / "b.yaml", tmp_path / "c.yaml", tmp_path / "none.yaml")
    assert (bad.exit_code, bad.stdout) == (2, f"{turns}: 3 rules of scenario\n")
    places = [line.split(": ")[0].removeprefix(f"{tmp_path}/") for line in bad.stderr.splitlines()]
    assert places == ["b.yaml:2:12", "b.yaml:3:21", "c.yaml:2:12", "c.yaml:3:21", "none.yaml"]
    assert run("check").exit_code == 2


def test_render_shows_each_frame_with_its_time(turns: Path) -> None:
    shown = run("render", turns, "--rule", "first")
    lines = shown.stdout.splitlines()
    assert lines[0] == "# first, openai, turn 1, attempt 1: 200"
    assert [line[:14] for line in lines[1:4]] == ["   0.500  data", "   0.750  data", "   1.000  data"]
    assert lines[4] == "          (close)"
    assert lines[6] == "# first, openai, turn 1, attempt 3: 200"
    assert lines[-2] == "   1.750  data: [DONE]"
    assert '"model":"gpt-5"' in lines[1]


def test_render_can_take_a_turn_and_shows_every_reply(turns: Path) -> None:
    heads = [line for line in run("render", turns, "--turn", "2").stdout.splitlines() if line.startswith("#")]
    assert heads == [
        "# second, openai, turn 2, attempt 1: 200",
        "# echo, openai, turn 2, attempt 1: 200",
        "# echo, openai, turn 2, attempt 2: 200",
    ]


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_raw_is_what_is_sent(file: Path) -> None:
    scenario = load(file)
    rule = scenario.named_rules()[-1]
    raw = CliRunner().invoke(main, ["render", str(file), "--raw", "--seed", "3", "--rule", str(rule.name)])
    assert raw.exit_code == 0
    if not rule.then and not rule.reply.template and rule.fault is None:
        assert raw.stdout_bytes == render(rule, sample(rule), 3).body


@pytest.mark.parametrize("api", sorted(HOMES))
def test_render_and_export_show_what_a_rule_sends_in_each_api(api: str, tmp_path: Path) -> None:
    file, out = tmp_path / "a.yaml", tmp_path / "a.jsonl"
    when = {"model": "m-1", "system": "Be brief.", "tools": ["add"], "result": {"add": "5"}}
    usable = {"user": "Ahoy"} if api == "completions" else when
    rules = [{"when": usable, "reply": {"content": "Hi"}}, {"when": {"api": api}, "reply": {"content": "Ho"}}]
    file.write_text(dump(load({"rules": rules})))
    shown = run("render", file, "--api", api)
    assert [line.split(", ")[1] for line in shown.stdout.splitlines() if line[:1] == "#"] == [
        "openai" if api == "chat" else api
    ] * 2
    assert run("export", file, "--api", api, "-o", out).exit_code == 0
    app = App(load(file), strict=True)
    first, second = read_file(out).interactions
    for interaction, content in ((first, b"Hi"), (second, b"Ho")):
        path = interaction.request.url.removeprefix("http://127.0.0.1")
        sent = respond(
            app, HttpRequest("POST", path, interaction.request.body, {"anthropic-version": "2023-06-01"})
        ).plan
        assert (sent.status, content in sent.body, content in interaction.response.body) == (200, True, True)
    other = "messages" if api == "chat" else "chat"
    assert (
        f"# {'openai' if other == 'chat' else other}"
        not in run("render", file, "--api", other, "--rule", "scenario#2").stdout
    )


def test_render_reports_unknown_rules_and_turns(turns: Path) -> None:
    for arguments, message in (
        (("--rule", "frist"), "there is no rule 'frist'; did you mean 'first'?"),
        (("--rule", "first", "--turn", "2"), "no rule matches turn 2"),
    ):
        result = run("render", turns, *arguments)
        assert (result.exit_code, result.stderr) == (2, f"{turns}: {message}\n")
    assert run("render", "none.yaml").stderr == "none.yaml: no such file or directory\n"


def test_the_schema_accepts_every_scenario_and_refuses_bad_ones() -> None:
    schema = json.loads(run("schema").stdout)
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for file in SCENARIOS:
        validator.validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    unknown = [text for text, problems in BAD if any("unknown key" in problem for problem in problems)]
    assert len(unknown) > 10
    for text in unknown:
        assert not validator.is_valid(yaml.safe_load(text))


def test_the_schema_describes_the_keys_of_a_rule() -> None:
    definitions = scenario_schema()["$defs"]
    assert definitions["When"]["properties"]["user"]["description"] == "The user's last message."
    assert set(definitions["When"]["properties"]) == {
        key for key, schema in definitions["When"]["properties"].items() if "description" in schema
    }
    assert "xai" in definitions["ScenarioFile"]["properties"]["dialect"]["enum"]
    assert "xai" in str(definitions["Rule"]["properties"]["dialect"]["anyOf"])


def test_the_schema_refuses_null_where_the_word_is_an_option() -> None:
    validator = jsonschema.Draft202012Validator(scenario_schema())
    for value, valid in (("null", True), (None, False)):
        assert validator.is_valid({"rules": [{"reply": {}, "stream": {"unfinished": value}}]}) is valid
        assert validator.is_valid({"rules": [{"reply": {}, "stream": {"calls": {"id": value}}}]}) is valid
    assert validator.is_valid({"rules": [{"reply": {}, "stream": {"role": None}}]})


def test_the_schema_has_a_reply_or_a_script_in_each_rule() -> None:
    validator = jsonschema.Draft202012Validator(scenario_schema())
    assert validator.is_valid({"rules": [{"reply": {}}, {"script": [{"reply": {}}]}]})
    assert not validator.is_valid({"rules": [{"when": {}}]})
    times = {"count": 2, "by": "rule"}
    assert validator.is_valid({"rules": [{"reply": {}, "fault": {"kind": "empty", "times": times}}]})


def reply_of(app: App, session: str = "") -> str:
    answer = respond(app, HttpRequest("POST", f"{session}/v1/chat/completions", chat()))
    return str(json.loads(answer.plan.body)["choices"][0]["message"]["content"])


def test_what_is_saved_is_served(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    main_file, part = tmp_path / "main.yaml", tmp_path / "part.yaml"
    main_file.write_text("include: [part.yaml]\nrules: []")
    part.write_text("rules: [{reply: {content: One}}]")
    reading = read([main_file])
    app, files = App(reading.scenario), Files([main_file], reading)
    app.load("own", load("rules:\n- {reply: {content: Own}}\n"), True)
    assert reply_of(app) == reply_of(app, "/s/x") == "One"
    assert files.changed() is None
    for content, message, expected in (
        ("rules: [{reply: {content: Two!}}]", "the files have changed: serves 1 rule of scenario+scenario", "Two!"),
        ("rules: [{reply: {contnt: Three}}]", "the last good one stays:\n", "Two!"),
        (None, "part.yaml: no such file or directory", "Two!"),
        ("rules: [{reply: {content: Four}}]", "the files have changed", "Four"),
    ):
        part.write_text(content) if content else part.unlink()
        changed = files.changed()
        assert changed is not None
        asyncio.run(follow_once(app, changed))
        assert files.changed() is None
        assert message in caplog.text
        if "serves" in message:
            assert (
                "; journals begin anew; sessions that have loaded a scenario or rules of their own keep them: 'own' (POST"
                in (caplog.text)
            )
            assert "(POST /s/own/_fakellm/reset has it serve the files)" in caplog.text
        assert (reply_of(app), reply_of(app, "/s/x"), reply_of(app, "/s/own")) == (expected, expected, "Own")
        caplog.clear()


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ("# A comment\nrules:\n- reply: {content: One}\n", True),
        ("rules: [{reply: {content: Two}}]", False),
        ("rules: [{when: {body: {n: true}}, reply: {content: One}}]", False),
    ],
)
def test_only_a_changed_scenario_empties_the_journal(tmp_path: Path, content: str, kept: bool) -> None:
    file = tmp_path / "one.yaml"
    file.write_text("rules: [{reply: {content: One}}]")
    reading = read([file])
    app, files = App(reading.scenario), Files([file], reading)
    reply_of(app)
    before = app.session("")
    file.write_text(content)
    changed = files.changed()
    assert changed is not None
    asyncio.run(follow_once(app, changed))
    assert (app.session("") is before) == kept


async def follow_once(app: App, reading: Reading) -> None:
    await serve_reading(Server(app), app, reading)


def test_serve_looks_at_its_files(turns: Path) -> None:
    with command("serve", str(turns), "--port", "0") as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith("fakellm serves 3 rules of scenario at ")
        turns.write_text("rules: []")
        try:
            assert (
                process.stderr.readline()
                == "fakellm: the files have changed: serves 0 rules of scenario; journals begin anew\n"
            )
        finally:
            process.terminate()


def test_an_error_while_checking_the_files_is_logged_and_they_are_checked_again(
    turns: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reload, "POLL", 0.001)
    reading = read([turns])
    app, files = App(), Files([turns], reading)
    again = [RuntimeError("no more files")] * 3
    looks = iter([*again, None, read([turns]), asyncio.CancelledError()])

    def changed() -> Reading | None:
        look = next(looks)
        if isinstance(look, BaseException):
            raise look
        return look

    monkeypatch.setattr(files, "changed", changed)

    async def main() -> None:
        await follow(Server(app), app, files)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert "the files have changed: serves 3 rules of scenario" in caplog.text
    assert caplog.text.count("RuntimeError: no more files") == 1  # not again until something else happens
    assert "the last good scenario stays, and they are looked at again" in caplog.text


def test_generated_replies_take_their_time_without_a_scenario() -> None:
    with command("serve", "--latency", "0.2", "--tokens-per-second", "900", "--port", "0") as process:
        assert process.stdout
        url = process.stdout.readline().split(" at ")[1].split()[0]
        reply = httpx2.get(url.removesuffix("/v1") + "/_fakellm/scenario").json()
        process.terminate()
    assert reply["timing"] == {"first": 0.2, "tokens_per_second": 900}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--latency", "-1"), "-1.0 is not in the range"),
        (("--latency", "soon"), "'soon' is not a valid float"),
        (("--tokens-per-second", "nan"), "expected a finite number, got nan"),
        (("x.yaml", "--latency", "1"), "write 'timing: {first: 0.3, tokens_per_second: 40}' at the top of its file"),
    ],
)
def test_times_that_cannot_be(arguments: tuple[str, ...], message: str) -> None:
    refused = run("serve", *arguments)
    assert refused.exit_code == 2
    assert message in refused.stderr


def test_a_task_beside_the_server_that_fails_ends_the_command() -> None:
    async def beside(server: Server) -> None:
        raise RuntimeError("it fell over")

    options: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "speed": 1.0, "ready": "text", "watch_stdin": False}
    with pytest.raises(RuntimeError, match="it fell over"):
        serving.run(App(), "serves", beside=beside, **options)


def test_every_command_has_a_help_text() -> None:
    listed = re.findall(r"^  (\w+)  +(\S.+)$", run("--help").stdout.partition("Commands:")[2], re.MULTILINE)
    assert {"check", "render", "schema", "serve"} <= {name for name, _ in listed}


def test_the_list_of_commands_says_in_whole_sentences_what_they_do() -> None:
    lines = run("-h").stdout.partition("Commands:\n")[2].splitlines()
    assert len(lines) == len(main.list_commands(click.Context(main)))
    assert [line for line in lines if not re.fullmatch(r"  [a-z]+ +[A-Z][^.]+\.", line)] == []


SIGNALLED = """
import builtins, os, runpy, signal, sys
name, number = sys.argv.pop(1), int(sys.argv.pop(1))
real = builtins.__import__
def imported(module, *arguments, **options):
    if module == name:
        builtins.__import__ = real
        os.kill(os.getpid(), number)
    return real(module, *arguments, **options)
builtins.__import__ = imported
runpy.run_module("fakellm", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["fakellm.cli", "click", "fakellm.cli.log", "aiohttp"])
def test_a_signal_during_the_first_imports_ends_a_command_quietly(module: str, number: signal.Signals) -> None:
    arguments = [sys.executable, "-c", SIGNALLED, module, str(int(number)), "serve", "--port", "0"]
    ended = subprocess.run(arguments, capture_output=True, timeout=60, check=False)
    assert ended.returncode in (-number, 128 + number)
    assert (ended.stdout, ended.stderr) == (b"", b"")


@pytest.mark.parametrize("command", ["import", "export"])
def test_a_recording_is_not_overwritten_by_what_is_made_of_it(command: str, tmp_path: Path) -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
    recording = tmp_path / "a.jsonl"
    head = '{"fakellm":"recording","version":1}'
    request = {"method": "POST", "url": "https://api.openai.com/v1/chat/completions", "text": body}
    reply = {"status": 200, "headers": [["Content-Type", "application/json"]], "frames": [{"text": "{}"}]}
    recording.write_text(f"{head}\n{json.dumps({'request': request, 'response': reply})}\n")
    before = recording.read_bytes()
    (tmp_path / "link.jsonl").symlink_to(recording)
    format_ = ["--format", "har"] if command == "export" else []
    for output in (recording, tmp_path / "link.jsonl"):
        ran = run(command, recording, *format_, "-o", output)
        assert ran.exit_code == 2
        assert f"{output} is read, so it cannot be written as well: give -o another name" in ran.stderr
    assert recording.read_bytes() == before
