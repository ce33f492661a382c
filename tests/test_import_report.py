"""What `fakellm import` reports: each interaction by its number in the file, what is damaged, and what to do instead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import fakellm
from fakellm.importing.importer import Imported, imported
from fakellm.recordings.formats import read
from fakellm.wire.plan import Frame, Plan
from tests.conftest import post
from tests.test_commands import run
from tests.test_import import BODY, CHUNK, ENDED, HELLO, JSON, NOT_STREAMED, recording, streamed


def entry(user: str, reply: str, url: str = "https://api.openai.com/v1/chat/completions") -> dict[str, Any]:
    """An interaction of vcrpy."""
    sent = {"model": "m", "messages": [{"role": "user", "content": user}]}
    answer = {"choices": [{"message": {"content": reply}, "finish_reason": "stop"}]}
    return {
        "request": {"method": "POST", "uri": url, "body": json.dumps(sent), "headers": {}},
        "response": {"status": {"code": 200}, "headers": {}, "body": {"string": json.dumps(answer)}},
    }


DAMAGED = {"request": {"method": "POST"}, "response": {}}
WHY = "interactions[1].request.uri: the key 'uri' is missing"


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A recording whose second interaction is damaged."""
    file = tmp_path / "session.json"
    file.write_text(json.dumps({"interactions": [entry("a", "A"), DAMAGED, entry("b", "B")]}))
    return file


def test_a_damaged_interaction_is_counted_and_the_others_keep_their_numbers(session: Path, tmp_path: Path) -> None:
    done = run("import", session, "-o", tmp_path / "scenario.yaml")
    first, second, third, total = done.stdout.splitlines()
    assert (first, third) == (f"{session}#1: by meaning", f"{session}#3: by meaning")
    assert second.startswith(f"{session}#2: left out (damaged: interactions[1].")
    assert total.endswith("2 rules of 3 interactions: 2 by meaning, 1 left out")


def test_replay_and_export_have_the_same_numbers(session: Path, tmp_path: Path) -> None:
    with fakellm.replay(session) as server:
        post(server.base_url + "/chat/completions", entry("b", "B")["request"]["body"].encode())
        assert server.journal[0].rule == f"{session}#3"
    assert run("export", session, "--only", "3", "-o", tmp_path / "b.jsonl").exit_code == 0
    assert b'\\"B\\"' in (tmp_path / "b.jsonl").read_bytes()
    done = run("export", session, "--only", "2", "-o", tmp_path / "c.jsonl")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith(f"{session}: interaction 2 is damaged: interactions[1].")


def test_stubs_keep_the_numbers_that_they_have_in_their_file() -> None:
    def stub(body: str, priority: int) -> dict[str, Any]:
        return {"request": {"url": "/v1"}, "response": {"status": 200, "body": body}, "priority": priority}

    mappings = [stub("last", 9), {"request": {}}, stub("first", 1)]
    cassette = read(json.dumps({"mappings": mappings}).encode(), "f")
    assert [(number, each.response.body) for number, each in cassette.numbered()] == [(3, b"first"), (1, b"last")]
    assert list(cassette.damaged) == [2]


def test_a_recording_of_which_nothing_can_be_imported_writes_no_scenario(tmp_path: Path) -> None:
    file, out = tmp_path / "a.json", tmp_path / "scenario.yaml"
    file.write_text(json.dumps({"interactions": [entry("a", "A", "https://api.openai.com/v1/embeddings")]}))
    done = run("import", file, "-o", out)
    assert done.exit_code == 2
    assert "embeddings" in done.stdout
    assert done.stderr == f"nothing can be imported: {out} is not written\n"
    assert not out.exists()


@pytest.mark.parametrize("command", ["import", "replay"])
def test_a_scenario_that_is_given_as_a_recording_gets_the_command_for_it(command: str, tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text("rules:\n- reply: {content: Hi}\n")
    done = run(command, file, *(("-o", tmp_path / "out.yaml") if command == "import" else ()))
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{file}: a scenario, not a recording: `fakellm serve {file}` answers with it")


@pytest.mark.parametrize("command", ["serve", "check", "render"])
@pytest.mark.parametrize("name", ["session.json", "hi.sse", "fixtures.json"])
def test_a_recording_that_is_given_as_a_scenario_gets_the_commands_for_it(
    command: str, name: str, session: Path, tmp_path: Path
) -> None:
    (tmp_path / "hi.sse").write_bytes(CHUNK + ENDED)
    (tmp_path / "fixtures.json").write_text(json.dumps({"fixtures": [{"match": {}, "response": {"content": "Hi"}}]}))
    file = tmp_path / name
    done = run(command, file)
    assert done.exit_code == 2
    assert f"`fakellm import {file} -o scenario.yaml` makes a scenario of" in done.stderr
    assert (f"`fakellm replay {file}` answers with it" in done.stderr) == (name != "fixtures.json")
    assert done.stderr.count("\n") == 1


def test_a_scenario_with_mistakes_is_not_taken_for_a_recording(tmp_path: Path) -> None:
    file = tmp_path / "scenario.json"
    file.write_text('{"content": "Hi"}')
    assert "recording" not in run("check", file).stderr


def test_render_prints_the_body_of_an_imported_whole_reply(tmp_path: Path) -> None:
    body, scenario = tmp_path / "hi.json", tmp_path / "scenario.yaml"
    body.write_bytes(BODY)
    assert run("import", body, "-o", scenario).exit_code == 0
    assert run("render", scenario, "--raw").stdout_bytes == BODY


def test_a_whole_reply_answers_whole_bodies_only_and_an_error_both() -> None:
    plans = Plan(200, JSON, (Frame(BODY),)), Plan(429, JSON, (Frame(b"{}"),))
    again = {"messages": [{"role": "user", "content": "again"}]}
    scenario, _ = imported([recording((NOT_STREAMED, plans[0]), (NOT_STREAMED | again, plans[1]))])
    assert [rule.when.stream for rule in scenario.rules] == [False, None]


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (b"data: {\n\n", "not valid JSON: frame 1"),
        (b"data: {data: {}\n\n", "not valid JSON: frame 1"),
        (b'data: {"odd":1}  \n\n', ""),
    ],
)
def test_damaged_frames_are_named(odd: bytes, reason: str) -> None:
    _, report = imported([recording((HELLO, streamed(CHUNK, odd, CHUNK, b"data: [DONE]\n\n")))])
    assert report == [Imported("a.yaml#1", "patch", 1, 4, reason)]
