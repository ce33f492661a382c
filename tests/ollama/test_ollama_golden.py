"""What each dialect of Ollama's API sends, to the byte, on both routes.

The expected bytes lie in `tests/golden/ollama-api/`. ``python -m tests.ollama.test_ollama_golden`` writes them anew; read
the difference before you commit it.
"""

from __future__ import annotations

import pytest

from fakellm.apis.ollama.dialects import DIALECTS
from tests.conftest import ROOT
from tests.ollama.samples import lines, sent

GOLDEN = ROOT / "tests" / "golden" / "ollama-api"
REPLY = {
    "reasoning": "Is it <5 °C?",
    "content": "It is 5 °C & rising.\u2028",
    "tool_calls": [{"name": "warm", "arguments": {"to": 1e-7, "city": "Oslo", "a": [1, None]}}, {"name": "now"}],
    "usage": {"prompt": 60, "completion": 7},
}
CASES = [(name, route, stream) for name in DIALECTS for route in ("chat", "generate") for stream in (True, False)]


def found(name: str, route: str, stream: bool) -> bytes:
    return sent(REPLY, route, {"dialect": name}, stream=stream).body


def file_name(name: str, route: str, stream: bool) -> str:
    return f"{name}-{route}.{'ndjson' if stream else 'json'}"


@pytest.mark.parametrize(("name", "route", "stream"), CASES)
def test_a_dialect_sends_its_golden_bytes(name: str, route: str, stream: bool) -> None:
    assert found(name, route, stream).decode() == (GOLDEN / file_name(name, route, stream)).read_bytes().decode()


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ({"together": ["calls"]}, ["", "", "warm now", ""]),
        ({"finish": "last"}, ["", "", "warm", "now"]),
        ({"together": ["calls"], "finish": "last"}, ["", "", "warm now"]),
        ({"together": ["parts", "calls"], "finish": "last"}, ["warm now"]),
        ({"calls": {"before": 0}}, ["", "", "warm", "now", ""]),
    ],
)
def test_calls_stand_apart_or_together_and_before_or_on_the_last_line(stream: object, expected: list[str]) -> None:
    plan = sent(REPLY, rule={"stream": {"split": "whole", **stream}})  # type: ignore[dict-item] # a block
    calls = [[call["function"]["name"] for call in line["message"].get("tool_calls", ())] for line in lines(plan)]
    assert [" ".join(names) for names in calls] == expected
    assert lines(plan)[-1]["done_reason"] == "stop"


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ({}, "2025-05-17T11:00:44.852993Z"),
        ({"ollama": {"fraction": 0}}, "2025-05-17T11:00:44Z"),
        ({"ollama": {"fraction": 9}}, "2025-05-17T11:00:44.852993146Z"),
        ({"spelling": {"each": {"created_at": ["now"]}}}, "now"),
    ],
)
def test_the_time_of_a_line(stream: dict[str, object], expected: str) -> None:
    assert lines(sent({"content": "Hi"}, rule={"stream": stream}))[0]["created_at"][:19] == expected[:19]
    assert len(lines(sent({"content": "Hi"}, rule={"stream": stream}))[0]["created_at"]) <= len(expected)


@pytest.mark.parametrize(("index", "expected"), [("given", [0, 1]), ("zero", [0, 0]), ("absent", [None, None])])
def test_the_index_of_a_call(index: str, expected: list[int | None]) -> None:
    plan = sent(REPLY, rule={"stream": {"calls": {"index": index}}})
    calls = [call for line in lines(plan) for call in line["message"].get("tool_calls", ())]
    assert [call["function"].get("index") for call in calls] == expected


def test_bytes_of_the_framing() -> None:
    sse = {"line_end": "crlf", "insert": [{"before": [1]}], "ends_with": "nothing"}
    body = sent({"content": "Hi"}, rule={"stream": {"sse": sse}}).body
    assert body.count(b"\r\n") == 2
    assert b"}\r\n\r\n{" in body
    assert body.endswith(b"}")


def test_arguments_that_are_not_an_object_are_sent_as_text() -> None:
    reply = {"tool_calls": [{"name": "f", "arguments": "{"}]}
    assert lines(sent(reply))[0]["message"]["tool_calls"][0]["function"]["arguments"] == "{"


def test_a_call_that_is_cut_by_the_limit_is_no_call() -> None:
    reply = {"content": "A", "tool_calls": [{"name": "f", "arguments": '{"a"'}], "finish_reason": "length"}
    assert [line["message"].get("tool_calls") for line in lines(sent(reply))] == [None, None]


if __name__ == "__main__":
    for case in CASES:
        (GOLDEN / file_name(*case)).write_bytes(found(*case))
