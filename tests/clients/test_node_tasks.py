"""Real SDKs for Node complete tasks over every API: scripted and generated, streamed and not.

Each is unmodified, and configured with only a base URL and a key. `node_sdks.py` lists them and starts their programs.
What an SDK itself gets wrong is in KNOWN, and in the page of its API in `docs/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic  # how long a test waits until the server has noticed that a client left
from typing import Any

import jsonschema
import pytest

import fakellm
from fakellm.testing.handle import Handle
from tests.clients.node_sdks import SDKS, Program

BOTH = (False, True)
KNOWN = (
    ("test_thinking", "openai_chat", (True,), "the helper keeps no reasoning_content of a stream"),
    ("test_generated_thinking", "openai_chat", (True,), "the helper keeps no reasoning_content of a stream"),
    ("test_thinking", "ai_sdk openai-chat", BOTH, "it reads no reasoning_content; @ai-sdk/openai-compatible does"),
    ("test_generated_thinking", "ai_sdk openai-chat", BOTH, "it reads no reasoning_content"),
    ("test_refusal", "langchain openai-chat", BOTH, "it drops a refusal"),
    *(
        ("test_retry_after_milliseconds", f"langchain {provider}", BOTH, "it ignores retry-after-ms")
        for provider in ("openai-chat", "openai", "anthropic")
    ),
    ("test_usage", "langchain anthropic", (True,), "it adds the output of message_start to that of message_delta"),
    ("test_error_within_a_stream", "langchain google", (True,), "it takes an error for the end"),
    ("test_bare_error_within_a_read", "google", (True,), "it takes the error for the end"),
    ("test_bare_error_within_a_read", "ai_sdk google", (True,), "it takes the error for the end"),
    ("test_bare_error_within_a_read", "langchain google", (True,), "it hides the message of the error"),
)
"""What an SDK itself gets wrong: the test, the program, in which streams (False: whole replies), and why."""

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = [
    {"name": "temperature", "description": "In °C", "parameters": CITY, "result": "3 °C"},
    {"name": "clock", "description": "The time", "parameters": CITY, "result": "12:00"},
]
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "wind": {"type": "string", "enum": ["calm", "strong"]},
        "days": {
            "type": "array",
            "minItems": 2,
            "maxItems": 3,
            "items": {
                "type": "object",
                "properties": {
                    "degrees": {"type": "integer", "minimum": -9, "maximum": 9},
                    "rain": {"type": "boolean"},
                },
                "required": ["degrees", "rain"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["city", "wind", "days"],
    "additionalProperties": False,
}
FORECAST = '{"city":"Oslo","wind":"calm","days":[{"degrees":3,"rain":false},{"degrees":-4,"rain":true}]}'
STREAMED = pytest.mark.parametrize("stream", [True], ids=["stream"])
COUNTING = ("openai_responses", "anthropic", "google", "google vertex")
"""The programs whose SDK can count tokens."""

WORDS = {"content": "One two three four five six seven eight nine ten eleven twelve"}
SPLIT = {"split": "words"}


@pytest.fixture(scope="module", params=SDKS)
def program(request: pytest.FixtureRequest) -> Iterator[Program]:
    found = Program(request.param)
    yield found
    found.close()


@pytest.fixture(params=[False, True], ids=["whole", "stream"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve() as handle:
        yield handle


@pytest.fixture
def session(server: Handle, request: pytest.FixtureRequest) -> Handle:
    """A session for each test. It is strict from the first scenario that the test loads."""
    return server.session(request.node.name, strict=True)


@pytest.fixture(autouse=True)
def known(request: pytest.FixtureRequest, program: Program, stream: bool) -> None:
    for test, name, streams, reason in KNOWN:
        if (test, name) == (request.function.__name__, program.name) and stream in streams:
            request.applymarker(pytest.mark.xfail(strict=True, reason=reason))


def answers(result: dict[str, Any]) -> Any:
    assert "thrown" not in result, result["thrown"]
    return result["answers"]


def outcome(session: Handle, expected: str) -> str:
    """The outcome of the first request, as soon as it is the expected one."""
    end = monotonic() + 10
    while (found := session.journal[0].outcome) != expected and monotonic() < end:
        pass
    return found


def test_parallel_calls_their_results_and_the_answer(program: Program, stream: bool, session: Handle) -> None:
    calls = [{"name": tool["name"], "arguments": {"city": "Oslo"}} for tool in TOOLS]
    results = {"temperature": "3 °C", "clock": "12:00"}
    rules = [
        {"name": "calls", "when": {"turn": 1}, "reply": {"content": "Let me see.", "tool_calls": calls}},
        {"name": "answer", "when": {"turn": 2, "result": results}, "reply": {"content": "It is 3 °C."}},
    ]
    session.load({"rules": rules})
    first, last = answers(program.perform(session.url, stream, tools=TOOLS))
    assert [(call["name"], call["arguments"]) for call in first["calls"]] == [
        ("temperature", {"city": "Oslo"}),
        ("clock", {"city": "Oslo"}),
    ]
    assert (first["text"], last["text"], last["calls"]) == ("Let me see.", "It is 3 °C.", [])
    assert [(entry.rule, entry.outcome) for entry in session.journal] == [("calls", "sent"), ("answer", "sent")]


def test_generated_calls_have_valid_arguments_and_end(program: Program, stream: bool, session: Handle) -> None:
    first, last = answers(program.perform(session.url, stream, tools=TOOLS))
    assert {call["name"] for call in first["calls"]} <= {"temperature", "clock"}
    for call in first["calls"]:
        jsonschema.validate(call["arguments"], CITY)
    assert first["calls"]
    assert last["text"]
    assert not last["calls"]


def test_structured_output(program: Program, stream: bool, session: Handle) -> None:
    session.load({"rules": [{"reply": {"content": FORECAST}}]})
    (answer,) = answers(program.perform(session.url, stream, schema=SCHEMA))
    assert answer["value"] == {
        "city": "Oslo",
        "wind": "calm",
        "days": [{"degrees": 3, "rain": False}, {"degrees": -4, "rain": True}],
    }


def test_generated_output_is_valid(program: Program, stream: bool, session: Handle) -> None:
    (answer,) = answers(program.perform(session.url, stream, schema=SCHEMA))
    jsonschema.validate(answer["value"], SCHEMA)


def test_thinking(program: Program, stream: bool, session: Handle) -> None:
    session.load({"rules": [{"reply": {"reasoning": "Hm, well.", "content": "Yes."}, "dialect": dialect(program)}]})
    (answer,) = answers(program.perform(session.url, stream, thinking=True))
    assert (answer["reasoning"], answer["text"]) == ("Hm, well.", "Yes.")


def test_generated_thinking(program: Program, stream: bool, session: Handle) -> None:
    session.load({"rules": [{"reply": {"generate": {}}, "dialect": dialect(program)}]})
    (answer,) = answers(program.perform(session.url, stream, thinking=True))
    assert answer["reasoning"]
    assert answer["text"]


def dialect(program: Program) -> str | None:
    """OpenAI's own dialect of chat shows no reasoning."""
    return "deepseek" if program.sdk.api == "chat" else None


def test_refusal(program: Program, stream: bool, session: Handle) -> None:
    reason = {"finish_reason": "content_filter"} if program.sdk.api == "gemini" else {}  # it has no refusals
    session.load({"rules": [{"reply": {"refusal": "I cannot.", **reason}}]})
    (answer,) = answers(program.perform(session.url, stream))
    assert (answer["text"], answer.get("refusal", ""), answer["finish"]) == program.sdk.refusal


def test_usage(program: Program, stream: bool, session: Handle) -> None:
    session.load({"rules": [{"reply": {"content": "Hi", "usage": {"prompt": 30, "completion": 12}}}]})
    (answer,) = answers(program.perform(session.url, stream))
    assert answer["usage"] == [30, 12]


@pytest.mark.parametrize("program", COUNTING, indirect=True, scope="module")
@pytest.mark.parametrize("stream", [False], ids=["whole"])
def test_tokens_are_counted(program: Program, stream: bool, session: Handle) -> None:
    assert answers(program.perform(session.url, stream, count=True)) == [{"counted": 10}]


@pytest.mark.parametrize("status", [400, 429, 529])
def test_error(program: Program, stream: bool, session: Handle, status: int) -> None:
    session.load({"rules": [{"reply": WORDS, "fault": {"kind": "status", "status": status, "message": "Not now."}}]})
    thrown = program.perform(session.url, stream)["thrown"]
    assert (thrown["type"], thrown["status"]) == (program.sdk.errors[status], status)
    assert "Not now." in thrown["message"]
    assert len(session.journal) == 1


def test_key(program: Program, stream: bool) -> None:
    with fakellm.serve(api_key="right") as server:
        (answer,) = answers(program.perform(server.url, stream, key="right"))
        thrown = program.perform(server.url, stream, key="wrong")["thrown"]
    status = 400 if program.sdk.api == "gemini" else 401
    assert answer["text"]
    assert (thrown["type"], thrown["status"]) == (program.sdk.errors[status], status)


def test_retry_after_seconds(program: Program, stream: bool, session: Handle) -> None:
    retries(program, stream, session, {"retry-after": "0.037"})


def test_retry_after_milliseconds(program: Program, stream: bool, session: Handle) -> None:
    retries(program, stream, session, {"retry-after-ms": "37"})


def retries(program: Program, stream: bool, session: Handle, headers: dict[str, str]) -> None:
    fault = {"kind": "status", "status": 429, "headers": headers, "times": 1}
    session.load({"rules": [{"reply": {"content": "Hi"}, "fault": fault}]})
    result = program.perform(session.url, stream, retries=1)
    if program.sdk.waits is None:
        assert result["thrown"]["status"] == 429
        return
    assert answers(result)[0]["text"] == "Hi"
    assert (37 in result["delays"]) == program.sdk.waits
    assert [entry.status for entry in session.journal] == [429, 200]


@STREAMED
def test_error_within_a_stream(program: Program, stream: bool, session: Handle) -> None:
    shape = {"shape": "data"} if program.sdk.api == "gemini" else {}
    fault = {"kind": "error", "frame": -2, "message": "Not now.", "status": 503, **shape}
    session.load({"rules": [{"reply": WORDS, "stream": SPLIT, "fault": fault}]})
    thrown = program.perform(session.url, stream)["thrown"]
    assert thrown["type"] == program.sdk.errors["stream"]
    assert "Not now." in thrown["message"]


@pytest.mark.parametrize("program", ["google", "ai_sdk google", "langchain google"], indirect=True, scope="module")
@STREAMED
def test_bare_error_within_a_read(program: Program, stream: bool, session: Handle) -> None:
    """Google sends an error without `data:`, here in one read with the frames before it."""
    fault = {"kind": "error", "frame": -2, "message": "Not now.", "status": 503}
    joined = {**SPLIT, "transfer": {"coalesce": "all"}}
    session.load({"rules": [{"reply": WORDS, "stream": joined, "fault": fault}]})
    assert "Not now." in program.perform(session.url, stream)["thrown"]["message"]


@STREAMED
def test_cancelled_stream(program: Program, stream: bool, session: Handle) -> None:
    session.load({"rules": [{"reply": WORDS, "stream": SPLIT, "fault": {"kind": "stall", "frame": -3}}]})
    thrown = program.perform(session.url, stream, cancel=True)["thrown"]
    assert thrown["type"] == program.sdk.aborted
    assert outcome(session, "client left") == "client left"
