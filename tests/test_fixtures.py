"""What other fake LLM servers are scripted with becomes rules that answer the same requests with the same replies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from fakellm.cli import main
from fakellm.importing.fixtures.fixture_file import FixtureFile, read_fixtures
from fakellm.importing.importer import imported
from fakellm.scenarios.loader import dump, load
from fakellm.server.scenario_app import App, HttpRequest
from tests.conftest import respond

AIMOCK: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"userMessage": "weather"}, {"content": "", "toolCalls": [{"name": "look_up", "arguments": {"city": "Oslo"}}]}),
    ({"toolCallId": "call_1"}, {"content": "It rains.", "finishReason": "stop", "usage": {"prompt_tokens": 3}}),
    ({"systemMessage": ["brief", "polite"]}, {"content": {"answer": 42}, "reasoning": "Hm."}),
    ({"userMessage": "again", "sequenceIndex": 1}, {"content": "second"}),
    ({"userMessage": "again", "sequenceIndex": 0}, {"content": "first"}),
    ({"userMessage": "limit"}, {"error": {"message": "Slow down", "type": "rate_limit_error"}, "status": 429}),
    ({"turnIndex": 1, "model": "m"}, {"content": "turn two"}),
    ({"hasToolResult": False}, {"content": "anything else"}),
]


def aimock(tmp_path: Path, *fixtures: tuple[dict[str, Any], dict[str, Any]], **more: Any) -> FixtureFile:
    file = tmp_path / "fixtures.json"
    file.write_text(json.dumps({"fixtures": [{"match": when, "response": reply, **more} for when, reply in fixtures]}))
    found = read_fixtures(file)
    assert found
    return found


def message(app: App, *messages: tuple[str, str], **more: Any) -> dict[str, Any]:
    """What the server answers to a chat: its body."""
    listed = [{"role": role, "content": text} for role, text in messages]
    body = json.dumps({"model": "m", "messages": listed, **more}).encode()
    answer: dict[str, Any] = json.loads(respond(app, HttpRequest("POST", "/v1/chat/completions", body)).plan.body)
    return answer["choices"][0]["message"] if "choices" in answer else answer


def test_fixtures_of_aimock_answer_as_they_did(tmp_path: Path) -> None:
    scenario, report = imported([aimock(tmp_path, *AIMOCK)])
    assert {each.outcome for each in report} == {"meaning"}
    app = App(load(dump(scenario)), strict=True)
    (call,) = message(app, ("user", "The weather in Oslo?"))["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("look_up", {"city": "Oslo"})
    assert message(app, ("system", "Be polite and brief."), ("user", "x"))["content"] == '{"answer":42}'
    assert [message(app, ("user", "Once again"))["content"] for _ in range(3)] == ["first", "second", "second"]
    assert message(app, ("user", "limit"))["error"]["message"] == "Slow down"
    assert message(app, ("user", "a"), ("assistant", "b"), ("user", "c"))["content"] == "turn two"
    assert message(app, ("user", "Hello"))["content"] == "anything else"


@pytest.mark.parametrize(
    ("match", "response", "more", "reason"),
    [
        ({"inputText": "a"}, {"embedding": [1.0]}, {}, "match.inputText: unknown key 'inputText'"),
        ({"endpoint": "image"}, {"content": "a"}, {}, "match.endpoint: 'image' is not a reply of a model"),
        ({"toolResultContains": "a"}, {"content": "a"}, {}, "match.toolResultContains: no rule can find"),
        ({}, {"content": "a"}, {"disconnectAfterMs": 5}, "disconnectAfterMs: unknown key"),
        ({"turnIndex": -1}, {"content": 1.5}, {}, "match.turnIndex: expected integer >= 0, got -1; response.content: "),
        ({}, {"content": "a"}, {"latency": -1}, "latency: expected number >= 0.0, got -1"),
        ({}, {"content": "a"}, {"latency": 1e9}, "timing.gap: expected number <= 86400.0"),
        ({}, {"content": "a"}, {"chunkSize": -3}, "chunkSize: expected integer >= 0, got -3"),
        ({}, {"content": "a"}, {"truncateAfterChunks": -3}, "truncateAfterChunks: expected integer >= 0, got -3"),
        ({"turnIndex": -3}, {"content": "a"}, {}, "match.turnIndex: expected integer >= 0, got -3"),
        ({}, {"content": "a", "usage": {"prompt_tokens": -1}}, {}, "response.usage.prompt_tokens: expected integer"),
        ({}, {"error": {"message": "a"}, "status": 42}, {}, "fault.status: expected integer >= 200"),
        ({}, {"error": {"message": "a"}, "status": 1000}, {}, "fault.status: expected integer <= 999"),
    ],
)
def test_a_fixture_that_no_rule_can_express_is_left_out(
    match: dict[str, Any], response: dict[str, Any], more: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    scenario, (became,) = imported([aimock(tmp_path, (match, response), **more)])
    assert (scenario.rules, became.outcome) == ((), "left out")
    assert became.reason.startswith(reason)


def test_whether_there_is_a_tool_result_is_a_condition_on_chat_only(tmp_path: Path) -> None:
    """The last message of a request of Messages has the role `user`, with or without a result."""
    fixtures = (({"hasToolResult": True}, {"content": "done"}), ({"hasToolResult": False}, {"content": "again"}))
    scenario, report = imported([aimock(tmp_path, *fixtures)])
    assert [(rule.when.api, rule.when.body) for rule in scenario.rules] == [
        ("chat", {"messages[-1].role": "tool"}),
        ("chat", {"messages[-1].role": "user"}),
    ]
    assert {each.reason for each in report} == {
        "hasToolResult: for requests of chat only, because other APIs have no role of results"
    }


def test_a_turn_is_that_turn_only_which_the_report_says(tmp_path: Path) -> None:
    scenario, (became,) = imported([aimock(tmp_path, ({"turnIndex": 1}, {"content": "a"}))])
    assert scenario.rules[0].when.turn == 2
    assert became.reason.startswith("turnIndex: for this turn only; aimock also answers other turns")


def test_of_fixtures_with_the_same_match_the_first_without_a_number_answers_all(tmp_path: Path) -> None:
    again = {"userMessage": "again"}
    file = aimock(
        tmp_path,
        ({**again, "sequenceIndex": 1}, {"content": "second"}),
        ({**again, "sequenceIndex": 0}, {"content": "first"}),
        (again, {"content": "from then on"}),
        (again, {"content": "never"}),
        ({**again, "sequenceIndex": 2}, {"content": "nor this"}),
    )
    scenario, report = imported([file])
    assert [each.outcome for each in report] == ["meaning"] * 3 + ["left out"] * 2
    app = App(scenario)
    assert [message(app, ("user", "again"))["content"] for _ in range(4)] == ["first", "second", *["from then on"] * 2]


def test_a_fixture_that_no_request_reaches_is_left_out(tmp_path: Path) -> None:
    scenario, report = imported([aimock(tmp_path, ({}, {"content": "a"}), ({"userMessage": "x"}, {"content": "b"}))])
    assert [each.outcome for each in report] == ["meaning", "left out"]
    assert load(dump(scenario)) == scenario


def test_only_what_a_fixture_sets_is_written(tmp_path: Path) -> None:
    assert "timing" not in dump(imported([aimock(tmp_path, ({}, {"content": "a"}))])[0])
    assert "timing: {gap: 0.005}" in dump(imported([aimock(tmp_path, ({}, {"content": "a"}), latency=5)])[0])


def test_how_aimock_streams_and_breaks_a_reply(tmp_path: Path) -> None:
    more = {"latency": 20, "chunkSize": 3, "truncateAfterChunks": 2}
    (rule,) = imported([aimock(tmp_path, ({}, {"content": "abcdef"}), **more)])[0].rules
    assert (rule.timing.gap, rule.stream.split, rule.fault and rule.fault.kind) == (0.02, 3, "close")


SNAPSHOT = {
    "models": ["m"],
    "conversations": [
        {
            "messages": [
                {"role": "system", "content": "${system}"},
                {"role": "user", "content": "List ${workdir}."},
                {"role": "assistant", "content": "I look."},
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"id": "call_0", "type": "function", "function": {"name": "ls", "arguments": '{"a":1}'}}
                    ],
                },
            ]
        },
        {
            "messages": [
                {"role": "user", "content": "List ${workdir}."},
                {"role": "assistant", "content": "I look."},
                {"role": "tool", "tool_call_id": "call_0", "content": "a.txt"},
                {"role": "assistant", "content": "There is a.txt."},
            ]
        },
        {"messages": [{"role": "user", "content": "Hi"}]},
    ],
}


def test_snapshots_of_copilot_answer_each_turn(tmp_path: Path) -> None:
    file, out = tmp_path / "snapshot.yaml", tmp_path / "out.yaml"
    file.write_text(yaml.safe_dump(SNAPSHOT))
    done = CliRunner().invoke(main, ["import", str(file), "-o", str(out)])
    assert done.output.splitlines() == [
        f"{file}#1: by meaning",
        f"{file}#2: by meaning",
        f"{file}#3: left out (the conversation does not end with a message of the assistant)",
        f"{out}: 2 rules of 3 interactions: 2 by meaning, 1 left out",
    ]
    app = App(load(out), strict=True)
    first = message(app, ("user", "List /tmp/a."))
    assert (first["content"], first["tool_calls"][0]["function"]["name"]) == ("I look.", "ls")
    assert message(app, ("user", "List /tmp/a."), ("assistant", "I look."))["content"] == "There is a.txt."


def test_a_recording_is_not_taken_for_fixtures(tmp_path: Path) -> None:
    for name, text in (
        ("a.json", '{"fixtures": []}'),
        ("b.yaml", "interactions: []"),
        ("c.txt", "{}"),
        ("d.json", "{"),
    ):
        (tmp_path / name).write_text(text)
        assert read_fixtures(tmp_path / name) is None
    assert read_fixtures(tmp_path / "none.json") is None
