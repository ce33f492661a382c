"""Faults without a server: what each makes of a reply, when attempts meet it, and how a bad one is refused."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from fakellm import faults
from fakellm.base.errors import ScenarioError
from fakellm.engine.entry import Entry
from fakellm.faults import Fault
from fakellm.fuzzing.strategies import completions
from fakellm.fuzzing.strategies import faults as drawn
from fakellm.scenarios.loader import dump, load
from fakellm.scenarios.reply import reply_of
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.http.http1 import bursts
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Decoder
from tests.conftest import chat, handled, respond

TEXT = {"content": "One two three", "id": "i", "created": 9, "system_fingerprint": None}
CALLS = {"tool_calls": [{"id": "a", "name": "f", "arguments": '{"x":1}'}, {"id": "b", "name": "g", "arguments": "{}"}]}


def ask(fault: object, reply: dict[str, Any] = TEXT, stream: bool = True, app: App | None = None) -> tuple[Plan, Entry]:
    """What a rule with this reply and this fault answers to one request."""
    app = app or App(load({"rules": [{"reply": reply, **({"fault": fault} if fault else {})}]}))
    answer, entry = handled(app, HttpRequest("POST", "/v1/chat/completions", chat(stream=stream)))
    return answer.plan, entry


def head(plan: Plan) -> list[str]:
    return bursts(plan)[0].data.partition(b"\r\n\r\n")[0].decode().split("\r\n")


PLAIN, _ = ask(None)
FRAMES = [frame.data for frame in PLAIN.frames]  # the role, three tokens, the finish, [DONE]
BODY = ask(None, stream=False)[0].body


def test_the_plain_reply_is_what_the_tables_below_assume() -> None:
    assert [b'"content":"One"' in frame for frame in FRAMES] == [False, True, False, False, False, False]
    assert b'"finish_reason":"stop"' in FRAMES[4]
    assert FRAMES[5] == b"data: [DONE]\n\n"


# Another response


def error_of(fault: object) -> tuple[int | None, dict[str, Any]]:
    plan, _ = ask(fault)
    return plan.status, json.loads(plan.body)["error"]


@pytest.mark.parametrize(
    ("status", "type_", "code"),
    [
        (400, "invalid_request_error", None),
        (401, "invalid_request_error", "invalid_api_key"),
        (403, "request_forbidden", "unsupported_country_region_territory"),
        (404, "invalid_request_error", "model_not_found"),
        (408, "invalid_request_error", None),
        (409, "invalid_request_error", None),
        (413, "invalid_request_error", "request_too_large"),
        (418, "invalid_request_error", None),
        (422, "invalid_request_error", None),
        (429, "requests", "rate_limit_exceeded"),
        (500, "server_error", None),
        (502, "server_error", None),
        (503, "server_error", None),
        (504, "server_error", None),
        (529, "overloaded_error", None),
        (599, "server_error", None),
    ],
)
def test_a_status_has_the_providers_error_body(status: int, type_: str, code: str | None) -> None:
    got, error = error_of({"kind": "status", "status": status})
    assert (got, list(error)) == (status, ["message", "type", "param", "code"])
    assert (error["type"], error["code"], error["param"]) == (type_, code, None)
    assert error["message"]


def test_the_fields_of_an_error_can_be_set() -> None:
    said = {"message": "No", "type": None, "code": 5, "param": "n"}
    assert error_of({"kind": "status", "status": 200, **said}) == (200, said)


@pytest.mark.parametrize(
    ("fault", "lines", "body"),
    [
        ({"status": 500, "body": ""}, ["HTTP/1.1 500 Internal Server Error", "Content-Type: text/plain; charset=utf-8"], b""),
        ({"status": 529, "body": {"detail": "ü"}}, ["HTTP/1.1 529 ", "Content-Type: application/json"], '{"detail":"ü"}'.encode()),
        ({"body": [1], "content_type": "application/problem+json"}, ["Content-Type: application/problem+json"], b"[1]"),
        ({"retry_after": 1}, ["Retry-After: 1"], None),
        ({"retry_after": 0.5}, ["Retry-After: 0.5"], None),
        ({"retry_after": -1}, ["Retry-After: -1"], None),
        ({"retry_after": "abc"}, ["Retry-After: abc"], None),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, ["Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"], None),
        ({"headers": {"retry-after-ms": "300", "x-should-retry": "false"}}, ["retry-after-ms: 300", "x-should-retry: false"], None),
    ],
)  # fmt: skip
def test_what_a_status_sends(fault: dict[str, Any], lines: list[str], body: bytes | None) -> None:
    plan, _ = ask({"kind": "status", **fault})
    assert set(lines) <= set(head(plan))
    assert body is None or plan.body == body


def test_a_header_that_is_set_replaces_the_usual_one() -> None:
    headers = {"content-type": "x/y"}
    names = [line.partition(":")[0] for line in head(ask({"kind": "status", "headers": headers})[0])]
    assert [name.lower() for name in names].count("content-type") == 1
    assert [name.lower() for name in names].count("content-length") == 1


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection", "Content-Encoding", "Trailer"])
def test_a_header_that_delimits_the_response_is_not_set_by_hand(name: str) -> None:
    for rule in (
        {"reply": {}, "fault": {"kind": "status", "headers": {name: "7"}}},
        {"reply": {"headers": {name: "7"}}},
    ):
        with pytest.raises(ScenarioError, match=f"'{name}' (would|is set)"):
            load({"rules": [rule]})


@pytest.mark.parametrize("stream", [True, False])
def test_an_html_page_and_an_empty_body(stream: bool) -> None:
    page, _ = ask({"kind": "html"}, stream=stream)
    assert (page.status, page.headers[0]) == (200, ("Content-Type", "text/html"))
    assert page.body.startswith(b"<!DOCTYPE html>")
    empty, _ = ask({"kind": "empty"}, stream=stream)
    plain = PLAIN if stream else ask(None, stream=False)[0]
    assert (empty.status, empty.headers[0], empty.body) == (200, plain.headers[0], b"")
    assert bursts(empty)[-1].data.endswith(b"\r\n\r\n0\r\n\r\n" if stream else b"\r\n\r\n")


def test_a_body_for_a_stream_and_a_stream_for_a_body() -> None:
    whole, _ = ask({"kind": "whole"})
    assert whole.headers[0] == ("Content-Type", "application/json")
    assert json.loads(whole.body)["object"] == "chat.completion"
    stream, _ = ask({"kind": "stream"}, stream=False)
    assert stream.headers[0] == PLAIN.headers[0]
    assert stream.body.endswith(b"data: [DONE]\n\n")


# What is said


def message(fault: dict[str, Any], reply: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    choice = json.loads(ask(fault, reply, stream=False)[0].body)["choices"][0]
    return choice["message"], choice["finish_reason"]


def test_faults_in_the_text() -> None:
    cut, finish = message({"kind": "content_filter", "keep": 3}, TEXT)
    assert (cut["content"], finish) == ("One", "content_filter")
    cut, finish = message({"kind": "length", "keep": -6}, TEXT)
    assert (cut["content"], finish) == ("One two", "length")
    said, finish = message({"kind": "refusal", "text": "No"}, TEXT | CALLS)
    assert (said["content"], said["refusal"], said.get("tool_calls"), finish) == (None, "No", None, "stop")
    said, finish = message({"kind": "finish_reason", "reason": "eos"}, TEXT)
    assert (said["content"], finish) == ("One two three", "eos")
    said, finish = message({"kind": "no_call"}, TEXT | CALLS)
    assert (said.get("tool_calls"), finish) == (None, "tool_calls")
    assert json.loads(ask({"kind": "no_choices"}, stream=False)[0].body)["choices"] == []


@pytest.mark.parametrize(
    ("fault", "expected", "finish"),
    [
        ({"kind": "length", "keep": -1}, ["a f {\"x\":1}", "b g {"], "length"),
        ({"kind": "length", "keep": 0}, ["a f {\"x\":1}", "b g "], "length"),
        ({"kind": "bad_arguments"}, ["a f {\"x\":1", "b g {"], "tool_calls"),
        ({"kind": "bad_arguments", "arguments": "nil"}, ["a f nil", "b g nil"], "tool_calls"),
        ({"kind": "unknown_tool"}, ["a no_such_tool {\"x\":1}", "b no_such_tool {}"], "tool_calls"),
        ({"kind": "same_id"}, ["a f {\"x\":1}", "a g {}"], "tool_calls"),
    ],
)  # fmt: skip
def test_faults_in_tool_calls(fault: dict[str, Any], expected: list[str], finish: str) -> None:
    said, got = message(fault, CALLS)
    calls = [f"{call['id']} {call['function']['name']} {call['function']['arguments']}" for call in said["tool_calls"]]
    assert (calls, got) == (expected, finish)


# The chunks and the frames: what is sent, told by the numbers of the plain frames

ERROR = b'data: {"error":{"message":"Boom","type":"server_error","param":null,"code":null}}\n\n'
D = FRAMES


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"kind": "no_finish"}, D[:4]),
        ({"kind": "repeat", "chunk": 1}, [*D[:2], *D[1:]]),
        ({"kind": "repeat", "chunk": -1}, [*D[:5], *D[4:]]),
        ({"kind": "swap", "chunk": 1}, [D[0], D[2], D[1], *D[3:]]),
        ({"kind": "swap", "chunk": 99}, [*D[:3], D[4], D[3], D[5]]),
        ({"kind": "error", "frame": 2, "message": "Boom"}, [*D[:2], ERROR, D[5]]),
        ({"kind": "error", "frame": 0, "message": "Boom", "done": False}, [ERROR]),
        ({"kind": "error", "frame": -1, "message": "Boom", "done": False}, [*D[:4], ERROR]),
        ({"kind": "error", "frame": 0, "message": "Boom", "done": False, "shape": "event", "status": 400},
         [b"event: error\n" + ERROR.replace(b"server", b"invalid_request").replace(b"}}", b',"status_code":400}}')]),
        ({"kind": "error", "frame": 0, "message": "Boom", "done": False, "shape": "message"}, [b'event: error\ndata: {"message":"Boom"}\n\n']),
        ({"kind": "error", "frame": 0, "message": "Boom", "done": False, "shape": "text"}, [b'data: {"error":"Boom"}\n\n']),
        ({"kind": "error", "frame": 0, "message": "Boom", "done": False, "shape": "line"}, [ERROR[6:].replace(b'{"error":', b"error: ", 1).replace(b"}}", b"}")]),
        ({"kind": "malformed", "frame": 1}, [D[0], D[1].replace(b'"', b"'"), *D[2:]]),
        ({"kind": "glued", "frame": 1}, [D[0], D[1].rstrip() + D[2], *D[3:]]),
        ({"kind": "glued", "frame": -1}, [*D[:3], D[3].rstrip() + D[4], D[5]]),
        ({"kind": "unterminated"}, [*D[:4], D[4].rstrip()]),
        ({"kind": "only_comments", "count": 2, "text": "x"}, [b": x\n\n"] * 2),
        ({"kind": "only_done"}, [D[5]]),
        ({"kind": "eof", "at": "headers"}, []),
        ({"kind": "eof", "frame": -1}, D[:5]),
        ({"kind": "eof", "byte": len(D[0]) + 9}, [D[0], D[1][:9]]),
        ({"kind": "eof", "byte": len(D[0])}, [D[0]]),
        ({"kind": "close", "frame": 3}, D[:3]),
        ({"kind": "reset", "byte": -1}, [*D[:5], D[5][:-1]]),
        ({"kind": "stall", "at": "start"}, []),
        ({"kind": "drip", "frame": 99}, D),
        ({"kind": "hang_up"}, D),
        ({"kind": "surplus"}, D),
    ],
)  # fmt: skip
def test_what_a_stream_sends(fault: dict[str, Any], expected: list[bytes]) -> None:
    plan, entry = ask(fault)
    assert [frame.data for frame in plan.frames] == expected
    assert entry.fault == fault["kind"]


def test_an_error_in_a_chunk_as_openrouter_sends_it() -> None:
    plan, _ = ask({"kind": "error", "shape": "chunk", "frame": 1, "message": "Boom", "status": 502})
    frame = json.loads(plan.frames[1].data.removeprefix(b"data: "))
    assert frame["error"] == {"code": 502, "message": "Boom"}
    assert frame["choices"] == [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]
    assert (frame["id"], frame["object"]) == ("i", "chat.completion.chunk")


def test_a_truncated_frame_is_an_event_that_is_not_valid_json() -> None:
    plan, _ = ask({"kind": "truncated", "frame": 2})
    events = Decoder().feed(plan.body)
    assert [event.data for event in events[:2]] == [frame.decode()[6:-2] for frame in D[:2]]
    assert D[2].startswith(b"data: " + events[2].data.encode())
    with pytest.raises(json.JSONDecodeError):
        json.loads(events[2].data)


@given(st.integers(-3000, 3000))
def test_a_reply_breaks_off_after_just_so_many_bytes(byte: int) -> None:
    for stream, whole in ((True, PLAIN.body), (False, BODY)):
        plan, _ = ask({"kind": "eof", "byte": byte}, stream=stream)
        assert plan.body == (whole[:byte] if abs(byte) <= len(whole) else b"" if byte < 0 else whole)
        assert all(frame.data for frame in plan.frames)


# The head and the end


def test_heads() -> None:
    length = f"Content-Length: {len(BODY)}"
    assert length in head(ask({"kind": "close", "byte": 5}, stream=False)[0])
    assert "Content-Length: 5" in head(ask({"kind": "eof", "byte": 5}, stream=False)[0])
    assert f"Content-Length: {len(BODY) + 3}" in head(ask({"kind": "content_length", "more": 3}, stream=False)[0])
    lied, _ = ask({"kind": "content_length"})
    assert f"Content-Length: {len(PLAIN.body) + 1}" in head(lied)
    assert "Transfer-Encoding: chunked" not in head(lied)
    assert "Content-Type: text/html" in head(ask({"kind": "content_type", "content_type": "text/html"})[0])
    assert not any(
        line.startswith("Content-Type") for line in head(ask({"kind": "content_type", "content_type": None})[0])
    )
    assert bursts(ask({"kind": "slow", "seconds": 2})[0])[0].delay == 2


@pytest.mark.parametrize(
    ("kind", "end", "terminated"),
    [("close", "close", False), ("reset", "reset", False), ("stall", "stall", False), ("drip", "stall", False),
     ("eof", "complete", True), ("hang_up", "hang_up", True)],
)  # fmt: skip
def test_ends(kind: str, end: str, terminated: bool) -> None:
    plan, entry = ask({"kind": kind})
    assert (plan.end, entry.status) == (end, 200)
    assert bursts(plan)[-1].data.endswith(b"\r\n0\r\n\r\n") == terminated


def test_bytes_follow_the_end_of_a_body_that_has_one() -> None:
    fault = {"kind": "surplus", "text": "HTTP"}
    assert bursts(ask(fault)[0])[-1].data.endswith(b"\r\n0\r\n\r\nHTTP")
    whole = bursts(ask(fault, stream=False)[0])
    assert [burst.data for burst in whole[1:]] == [b"HTTP"]
    assert f"Content-Length: {len(BODY)}".encode() in whole[0].data
    plan, _ = ask(fault)
    for closed in (bursts(plan, http_1_0=True), bursts(msgspec.structs.replace(plan, delimited="close"))):
        assert b"".join(burst.data for burst in closed).endswith(D[-1])


def test_nothing_is_sent_at_all() -> None:
    for kind in ("close", "reset", "stall"):
        plan, entry = ask({"kind": kind, "at": "start"})
        assert (bursts(plan)[0].data, len(bursts(plan)), entry.status) == (b"", 1, None)


# Attempts


def met(app: App, *asked: bytes) -> list[str | None]:
    return [handled(app, HttpRequest("POST", "/v1/chat/completions", body))[1].fault for body in asked]


def app_with(**fault: Any) -> App:
    return App(load({"rules": [{"reply": TEXT, "fault": {"kind": "refusal", **fault}}]}))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [({}, "XXXXX"), ({"times": 2}, "XX..."), ({"after": 2}, "..XXX"), ({"times": 1, "after": 1}, ".X...")],
)
def test_attempts(keys: dict[str, int], expected: str) -> None:
    found = met(app_with(**keys), *[chat()] * 5)
    assert "".join("X" if fault else "." for fault in found) == expected


def test_a_share_of_the_attempts_is_drawn_from_seed_request_and_attempt() -> None:
    def drawn(seed: int, **keys: Any) -> list[bool]:
        app = App(load({"rules": [{"reply": TEXT, "fault": {"kind": "refusal", **keys}}]}), seed=seed)
        return [fault is not None for user in "abcde" for fault in met(app, *[chat(user=user)] * 80)]

    found = drawn(0, rate=0.25)
    assert 0.19 < sum(found) / len(found) < 0.31
    assert found == drawn(0, rate=0.25) != drawn(1, rate=0.25)
    assert len({tuple(found[start : start + 80]) for start in range(0, 400, 80)}) == 5
    assert all(drawn(0, rate=1))
    limited = drawn(0, rate=0.25, after=10, times=40)
    assert limited == [fault and 10 <= number % 80 < 50 for number, fault in enumerate(found)]


def test_a_request_is_the_same_however_it_is_spelled_and_others_have_their_own_attempts() -> None:
    first, spelt, other = chat(user="a"), chat(user="a", stream=True), chat(user="b")
    assert met(app_with(times=1), first, other, spelt, first, other) == ["refusal", "refusal", None, None, None]


def test_an_attempt_without_a_fault_is_not_counted() -> None:
    app = App(load({"rules": [{"reply": TEXT, "fault": {"kind": "only_done", "times": 1}}]}))
    assert met(app, chat(), chat(), chat(stream=True), chat(stream=True)) == [None, None, "only_done", None]


def test_a_session_counts_from_the_start() -> None:
    app = app_with(times=1)
    assert met(app, chat(), chat()) == ["refusal", None]
    app.handle(HttpRequest("POST", "/_fakellm/reset"))
    assert met(app, chat()) == ["refusal"]


# Laws


@given(drawn())
def test_a_fault_is_the_same_every_time_and_survives_yaml(fault: Fault) -> None:
    rule = Rule(reply=load({"rules": [{"reply": TEXT | CALLS}]}).rules[0].reply, fault=fault)
    assert load(dump(rule)) == Scenario(rules=(rule,))
    for stream in (True, False):
        first, again = (ask(None, stream=stream, app=App(Scenario(rules=(rule,))))[0] for _ in range(2))
        assert (first, bursts(first)) == (again, bursts(again))


@pytest.mark.parametrize("kind", ["close", "eof", "error", "length", "repeat", "truncated"])
def test_what_a_fault_leaves_open_depends_on_the_seed_and_the_request(kind: str) -> None:
    def drawn_for(seed: int, user: str) -> bytes:
        app = App(load({"rules": [{"reply": TEXT, "fault": {"kind": kind}}]}), seed=seed)
        answer = respond(app, HttpRequest("POST", "/v1/chat/completions", chat(stream=True, user=user)))
        return answer.plan.body

    assert len({drawn_for(0, str(user)) for user in range(20)}) > 1
    assert len({drawn_for(seed, "x") for seed in range(20)}) > 1


@given(st.data(), completions(), st.booleans())
def test_any_fault_applies_to_any_reply_that_has_the_calls(data: st.DataObject, completion: Any, stream: bool) -> None:
    rule = Rule(reply=reply_of(completion), fault=data.draw(drawn(completion)))
    app = App(Scenario(rules=(rule,)))
    for _ in range(2):
        plan, _ = ask(None, stream=stream, app=app)
        assert bursts(plan)


@pytest.mark.parametrize("kind", get_args(Fault), ids=lambda kind: kind.__struct_config__.tag)
@pytest.mark.parametrize("stream", [True, False])
def test_a_fault_that_applies_breaks_the_reply(kind: type[Fault], stream: bool) -> None:
    fault = load({"rules": [{"reply": TEXT | CALLS, "fault": {"kind": kind.__struct_config__.tag}}]}).rules[0].fault
    assert fault is not None
    spoilt, entry = ask({"kind": fault.kind}, TEXT | CALLS, stream)
    plain, _ = ask(None, TEXT | CALLS, stream)
    assert (entry.fault is None) == (spoilt == plain) == (not fault.applies(stream))
    assert (entry.without_effect, bool(entry.explanation)) == ((("fault",), True) if spoilt == plain else ((), False))


@pytest.mark.parametrize(
    ("fault", "stream", "expected"),
    [
        ({"kind": "reset", "frame": 2}, False, "fault.frame"),
        ({"kind": "drip", "frame": 2}, False, "fault"),
        ({"kind": "stall", "frame": 7}, True, "fault.frame"),
        ({"kind": "stall", "frame": 6}, True, ""),
        ({"kind": "eof", "byte": len(BODY) + 1}, False, "fault.byte"),
        ({"kind": "eof", "byte": len(BODY)}, False, ""),
        ({"kind": "eof", "byte": -len(BODY) - 9}, False, ""),
        ({"kind": "close", "frame": 99, "after": 1}, True, ""),  # an attempt without it
    ],
)
def test_the_journal_has_a_fault_that_broke_nothing(fault: dict[str, Any], stream: bool, expected: str) -> None:
    _, entry = ask(fault, stream=stream)
    assert entry.without_effect == ((expected,) if expected else ())
    assert str(entry.explanation).startswith("The fault broke nothing: ") == bool(expected)


# What is refused

KINDS = ", ".join(kind.__struct_config__.tag for kind in get_args(Fault))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("{kind: statis}", f"3:17: rules[0].fault.kind: 'statis' is not one of {KINDS}; did you mean 'status'?"),
        ("{status: 429}", f"3:10: rules[0].fault: the key 'kind' is missing; it is one of {KINDS}"),
        ("{kind: 3}", "3:17: rules[0].fault.kind: expected string, got integer; put it in quotes to make it text"),
        ("reset", "3:10: rules[0].fault: expected object | null, got string; write {kind: reset}"),
        ("{kind: reset, frames: 1}", "3:24: rules[0].fault: unknown key 'frames'; allowed here: kind, at, frame, byte, times, after, rate; did you mean 'frame'?"),
        ("{kind: reset, at: strat}", "3:28: rules[0].fault.at: 'strat' is not one of start, headers; did you mean 'start'?"),
        ("{kind: reset, frame: 1, byte: 2}", "3:40: rules[0].fault.byte: 'byte' beside 'frame': say once where it breaks off"),
        ("{kind: eof, at: start}", "3:26: rules[0].fault.at: no body can end before the headers; 'headers' is right after them"),
        ("{kind: drip, at: start}", "3:27: rules[0].fault.at: no comment can come before the headers; 'headers' is right after them"),
        ("{kind: status, status: 42}", "3:33: rules[0].fault.status: expected integer >= 200, got 42"),
        ("{kind: status, retry_after: \"1\\r\\nx: y\"}", "3:38: rules[0].fault.retry_after: '1\\r\\nx: y' cannot be sent in a header: printable ASCII alone, and no line end"),
        ("{kind: content_type, content_type: ü}", "3:45: rules[0].fault.content_type: 'ü' cannot be sent in a header: printable ASCII alone, and no line end"),
        ("{kind: status, headers: {\"x y\": z}}", "3:42: rules[0].fault.headers.x y: 'x y' is not the name of a header"),
        ("{kind: reset, rate: 0}", "3:30: rules[0].fault.rate: expected number > 0.0, got 0"),
        ("{kind: reset, times: 0}", "3:31: rules[0].fault.times: expected integer >= 1, got 0"),
        ("{kind: same_id}", "3:17: rules[0].fault.kind: 'same_id' needs a reply with 2 tool calls in one choice; add 'tool_calls' to 'reply'"),
        ("{kind: bad_arguments}", "3:17: rules[0].fault.kind: 'bad_arguments' needs a reply with a tool call; add 'tool_calls' to 'reply'"),
    ],
)  # fmt: skip
def test_what_is_refused_and_how(fault: str, expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(f"rules:\n- reply: {{}}\n  fault: {fault}\n")
    assert [problem.removeprefix("scenario:") for problem in caught.value.problems] == [expected]


@pytest.mark.parametrize("kind", get_args(Fault), ids=lambda kind: kind.__struct_config__.tag)
def test_every_kind_is_drawn_and_shrinks_to_a_plain_one(kind: type[Fault]) -> None:
    least = find(drawn(), lambda fault: isinstance(fault, kind), settings=settings(max_examples=2000, database=None))
    assert len(msgspec.to_builtins(least)) <= 2  # its kind, and at most one key


def test_every_kind_is_exported_under_its_name() -> None:
    for kind in get_args(Fault):
        assert getattr(faults, kind.__name__) is kind
        assert kind.__name__ in faults.__all__
        assert kind.__struct_config__.forbid_unknown_fields
        assert kind.__struct_config__.frozen


# Defects that were mended


def test_what_a_fault_sends_has_the_line_ends_of_its_stream() -> None:
    crlf = {"sse": {"line_end": "crlf"}}
    for fault in (
        {"kind": "error", "frame": 1},
        {"kind": "error", "shape": "line", "frame": 1},
        {"kind": "truncated", "frame": 1},
        {"kind": "malformed", "frame": 1},
        {"kind": "glued", "frame": 1},
        {"kind": "only_comments"},
    ):
        app = App(load({"rules": [{"reply": TEXT, "fault": fault, "stream": crlf}]}))
        body = respond(app, HttpRequest("POST", "/v1/chat/completions", chat(stream=True))).plan.body
        assert body.count(b"\n") == body.count(b"\r\n") > 0, fault
        assert body.endswith(b"\r\n\r\n"), fault


def test_a_comment_while_a_stream_stalls_has_its_line_ends_too() -> None:
    rule = {"reply": TEXT, "fault": {"kind": "drip", "frame": 1}, "stream": {"sse": {"line_end": "crlf"}}}
    plan = respond(App(load({"rules": [rule]})), HttpRequest("POST", "/v1/chat/completions", chat(stream=True))).plan
    assert plan.drip is not None
    assert plan.drip.data == b": ping\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "title"),
    [(None, "502 Bad Gateway"), (200, "502 Bad Gateway"), (504, "504 Gateway Timeout"), (520, "520")],
)
def test_a_page_names_its_status(status: int | None, title: str) -> None:
    plan, _ = ask({"kind": "html", **({} if status is None else {"status": status})})
    assert plan.status == (status or 200)
    assert plan.body.count(title.encode()) == 2
    assert (b"502" in plan.body) == ("502" in title)
