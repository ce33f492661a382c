"""One request in full: what its conversation has, what each frame of its reply adds, and how it is sent again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from shutil import which
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fakellm
from fakellm.recordings.formats import read
from fakellm.scenarios.loader import load
from fakellm.server.application import HttpRequest
from fakellm.server.replay_app import Replay
from fakellm.server.scenario_app import App
from tests.conftest import chat, handled, post
from tests.test_apis import BOTH, PATHS, request

KEY = "sk-proj-abcdefghijklmnop1234567890"


def shown(app: Any, number: int = 1, rest: str = "", session: str = "") -> Any:
    prefix = f"/s/{session}" if session else ""
    response, _ = handled(app, HttpRequest("GET", f"{prefix}/_fakellm/requests/{number}{rest}"))
    assert response.head.status == 200, response.body
    return json.loads(response.body)


def text(app: Any, rest: str) -> str:
    response, _ = handled(app, HttpRequest("GET", f"/_fakellm/requests/1/{rest}"))
    assert response.head.status == 200, response.body
    return response.body.decode()


def send(app: App, sent: HttpRequest) -> Any:
    """Has a request answered, and everything sent."""
    response, entry = handled(app, sent)
    entry.frames_sent, entry.outcome = entry.frames, "sent"
    return response


def joined(frames: list[dict[str, Any]], kind: str) -> str:
    """The texts that frames add, of one kind, of the first choice."""
    added = [each for frame in frames for each in frame["adds"] if each["type"] == kind and not each.get("choice")]
    text = "".join(each["text"] for each in added)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


# What frames add

REPLIES = st.fixed_dictionaries(
    {"content": st.text(st.sampled_from("ab é\n😀"), max_size=12)},
    optional={
        "reasoning": st.text("xy ", min_size=1, max_size=6),
        "tool_calls": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from("fg"), "arguments": st.just({"a": "é1"})}),
            min_size=1,
            max_size=2,
        ),
    },
)
STREAMS = st.fixed_dictionaries(
    {"split": st.sampled_from(["tokens", "words", 1, 3])},
    optional={
        "transfer": st.sampled_from([{"cut": 7}, {"gzip": True}, {"coalesce": 2}]),
        "padding": st.integers(0, 2),
    },
)
FAULTS = st.sampled_from(
    [None, None, {"kind": "close", "frame": 2}, {"kind": "error"}, {"kind": "status", "status": 429}]
)


@settings(max_examples=60)
@given(st.sampled_from(BOTH), REPLIES, STREAMS, FAULTS)
def test_the_frames_together_add_what_the_journal_reads(
    api: tuple[str, bool], reply: dict[str, Any], stream: dict[str, Any], fault: dict[str, Any] | None
) -> None:
    app = App(load({"rules": [{"reply": reply, "stream": stream, **({"fault": fault} if fault else {})}]}))
    response = send(app, request(*api))
    found = shown(app)
    frames, journaled = found["wire"]["frames"], found["entry"]["reply"]
    assert "".join(frame["data"] for frame in frames).encode("latin-1") == response.body
    assert joined(frames, "text") == journaled["text"]
    assert joined(frames, "reasoning") + joined(frames, "summary") == journaled["reasoning"]
    added = [each for frame in frames for each in frame["adds"]]
    calls = [each for each in added if each["type"] == "call"]
    assert [each["name"] for each in calls] == [call["name"] for call in journaled["calls"]]
    for number, call in enumerate(journaled["calls"]):
        own = [each for each in added if each["type"] == "arguments" and each["call"] == number]
        assert "".join(each["text"] for each in own) == call["arguments"]
    if journaled["finish"]:
        assert journaled["finish"] in [each.get("reason") for each in added]
    if journaled["error"] is not None:
        assert "error" in [each["type"] for each in added]


@pytest.mark.parametrize(("name", "stream"), BOTH)
def test_each_frame_adds_what_is_in_it(name: str, stream: bool) -> None:
    rule = {"reply": {"content": "alpha beta"}, "stream": {"split": "words"}, "timing": {"first": 1, "gap": 0.5}}
    app = App(load({"rules": [rule]}))
    send(app, request(name, stream))
    frames = shown(app)["wire"]["frames"]
    for frame in frames:
        for word in ("alpha", "beta"):
            added = "".join(each.get("text", "") for each in frame["adds"] if each["type"] == "text")
            again = (name == "responses" and ".done" in frame["data"].partition("\n")[0]) or "completed" in frame[
                "data"
            ]
            assert word in added or word not in frame["data"] or again
    assert [frame["due"] for frame in frames] == sorted(frame["due"] for frame in frames)
    assert frames[0]["due"] == (1 if stream else frames[-1]["due"])


def test_a_frame_that_is_half_an_event_adds_nothing() -> None:
    app = App(load({"rules": [{"reply": {"content": "Hello"}, "stream": {"transfer": {"cut": 40}}}]}))
    send(app, request("chat", True))
    frames = shown(app)["wire"]["frames"]
    assert len(frames) > 4
    assert joined(frames, "text") == "Hello"
    assert [] in [frame["adds"] for frame in frames]


def test_frames_that_were_not_sent_are_shown_too() -> None:
    app = App(load({"rules": [{"reply": {"content": "One two"}, "timing": {"step": True}}]}))
    handled(app, request("chat", True))
    found = shown(app)
    assert found["entry"]["frames_sent"] == 0
    assert found["entry"]["reply"]["text"] == ""
    assert joined(found["wire"]["frames"], "text") == "One two"
    assert all(frame["step"] for frame in found["wire"]["frames"])


def test_frames_stay_when_the_journal_has_been_read() -> None:
    app = App(load({"rules": [{"reply": {"content": "Hi"}}]}))
    send(app, request("chat", True))
    handled(app, HttpRequest("GET", "/_fakellm/journal"))
    assert shown(app)["wire"] == shown(app)["wire"]
    assert joined(shown(app)["wire"]["frames"], "text") == "Hi"


def test_what_is_missing_is_explained() -> None:
    app = App()
    send(app, request("chat", False))
    (entry,) = app.session("").journal
    entry.request.response = None  # as of a reply that is too long
    found = shown(app)
    assert found["wire"] is None
    assert "more than 1 MiB" in found["missing"]


# The conversation

PNG = "iVBORw0KGgo="  # eight bytes
IMAGES: dict[str, Any] = {
    "chat": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "See "},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    {"type": "text", "text": " this"},
                ],
            }
        ]
    },
    "responses": {
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "See "},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                    {"type": "input_text", "text": " this"},
                ],
            }
        ]
    },
    "messages": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "See "},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    {"type": "text", "text": " this"},
                ],
            }
        ]
    },
    "gemini": {
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "See "},
                    {"inlineData": {"mimeType": "image/png", "data": PNG}},
                    {"text": " this"},
                ],
            }
        ]
    },
    "ollama": {"messages": [{"role": "user", "content": "See  this", "images": [PNG]}]},
}


@pytest.mark.parametrize(
    "text", ["\ue0ff\ue0ff0\ue0fe7\ue0fe", "\ue0ff9\ue0fe", "\ue0ff" + "9" * 5_000 + "\ue0fe", "3\ue0fe"]
)
def test_no_text_passes_for_a_medium(text: str) -> None:
    app = App()
    send(app, HttpRequest("POST", "/v1/chat/completions", chat(messages=[{"role": "user", "content": text}])))
    [message] = shown(app)["conversation"]["messages"]
    assert {part["type"] for part in message["parts"]} <= {"text"}


@pytest.mark.parametrize("name", PATHS)
def test_images_have_their_place_and_their_size(name: str) -> None:
    app = App()
    send(app, request(name, False, **IMAGES[name]))
    (message,) = [each for each in shown(app)["conversation"]["messages"] if each["role"] == "user"]
    kind = None if name == "ollama" else "image/png"  # which states none
    image = {"type": "media", "media_type": kind, "bytes": 8, "url": None}
    texts = [{"type": "text", "text": "See "}, {"type": "text", "text": " this"}]
    whole = [{"type": "text", "text": "See  this"}]
    assert message["parts"] == ([image, *whole] if name == "ollama" else [texts[0], image, texts[1]])


def test_a_conversation_has_calls_and_results() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "42"},
    ]
    app = App()
    send(app, HttpRequest("POST", "/v1/chat/completions", chat(messages=messages, tools=[tool])))
    found = shown(app)["conversation"]
    assert [(each["role"], "".join(part["text"] for part in each["parts"])) for each in found["messages"]] == [
        ("system", "Be kind."),
        ("user", "Hi"),
        ("assistant", ""),
        ("tool", "42"),
    ]
    assert found["messages"][2]["calls"] == [{"id": "call_1", "name": "f", "arguments": '{"a": 1}'}]
    assert found["messages"][3]["result_of"] == "call_1"
    assert found["tools"] == [{"name": "f", "kind": "function", "parameters": {"type": "object"}}]
    assert (found["turn"], found["tool_choice"], found["model"], found["stream"]) == (2, "auto", "m", False)


@pytest.mark.parametrize(
    "sent",
    [
        HttpRequest("GET", "/v1/models"),
        HttpRequest("POST", "/v1/chat/completions", b"{"),
        HttpRequest("POST", "/v1/chat/completions", b"[1]"),
        HttpRequest("POST", "/v1/chat/completions", b"\xff"),
        HttpRequest("POST", "/nowhere", b"{}"),
    ],
)
def test_any_request_can_be_shown(sent: HttpRequest) -> None:
    app = App()
    send(app, sent)
    found = shown(app)
    assert found["conversation"] is None
    assert found["wire"]["frames"]
    assert text(app, "curl").startswith("curl ")


def test_a_text_that_looks_like_the_mark_of_a_medium_is_a_text() -> None:
    app = App()
    send(app, request("chat", False, "a\ue0ff0\ue0feb"))
    assert shown(app)["conversation"]["messages"][0]["parts"] == [{"type": "text", "text": "ab"}]


# Who may be shown what


def test_secrets_are_shown_nowhere() -> None:
    app = App(load({"rules": [{"reply": {"content": f"Your key is {KEY}"}, "stream": {"split": 3}}]}))
    sent = request("chat", True, f"my key is {KEY}")
    headers = {**sent.headers, "authorization": f"Bearer {KEY}", "x-api-key": KEY}
    send(app, HttpRequest("POST", f"{sent.path}?key={KEY}", sent.body, headers))
    for rest in ("", "/curl", "/python", "/recording", "/why", "/rule"):
        response, _ = handled(app, HttpRequest("GET", f"/_fakellm/requests/1{rest}"))
        assert response.head.status == 200
        assert KEY not in response.body.decode()
    assert KEY not in joined(shown(app)["wire"]["frames"], "text")


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        (
            "/_fakellm/requests/2",
            404,
            "There is no request 2 in the journal of this session: it has the requests 1 to 1.",
        ),
        ("/_fakellm/requests/0", 404, "There is no request 0 in the journal"),
        ("/_fakellm/requests/x/curl", 404, "There is no request x in the journal"),
        ("/s/none/_fakellm/requests/1", 404, "it is empty"),
        ("/_fakellm/requests/1/hwy", 404, "did you mean '/_fakellm/requests/{number}/why'?"),
        ("/_fakellm/requests/1/recording?format=vcr", 400, "expected one of fakellm, vcrpy"),
        ("/_fakellm/requests/1?frames=2", 400, "has no query parameter 'frames'"),
    ],
)
def test_what_does_not_exist_is_refused_by_its_name(path: str, status: int, part: str) -> None:
    app = App()
    send(app, request("chat", False))
    response, _ = handled(app, HttpRequest("GET", path))
    assert response.head.status == status
    assert part in json.loads(response.body)["error"]["message"]
    assert "none" not in app.sessions()


# To send it again


@pytest.fixture(scope="module")
def server() -> Iterator[fakellm.Handle]:
    rule = {"reply": {"content": "It's {{user}}", "template": True}, "stream": {"split": 2}}
    with fakellm.serve({"rules": [rule]}) as running:
        yield running


BODIES = [
    chat(stream=True, messages=[{"role": "user", "content": 'it\'s "quoted" $HOME `x` \\ é😀 100% \n'}]),
    chat(messages=[{"role": "user", "content": "x" * 150_000}]),
    b"@/etc/hostname",  # to curl, the name of a file to send
]


@pytest.mark.parametrize("body", BODIES, ids=["short", "long", "at"])
@pytest.mark.parametrize("form", ["curl", "python"])
def test_a_request_that_is_sent_again_gets_the_same_reply(server: fakellm.Handle, form: str, body: bytes) -> None:
    if form == "curl" and not which("curl"):
        pytest.skip("curl is not installed")
    mine = server.session(f"{form}{len(body)}")
    reply = post(
        f"{mine.base_url}/chat/completions?a[0-1]=b", body, authorization="Bearer k", **{"x-empty": "", "x-a": "it's"}
    )
    program = httpx_get(f"{mine.url}/_fakellm/requests/1/{form}")
    command = ["sh", "-c", program] if form == "curl" else [sys.executable, "-c", program]
    if len(program) > 100_000:
        command = ["sh"] if form == "curl" else [sys.executable, "-"]
    again = subprocess.run(command, input=program, capture_output=True, text=True, check=True).stdout
    assert again == reply.text
    first, second = mine.journal
    assert first.body == second.body
    assert (
        second.headers | {"x-a": "it's", "x-empty": "", "authorization": first.headers["authorization"]}
        == second.headers
    )


def httpx_get(url: str) -> str:
    import httpx2

    return httpx2.get(url, timeout=30).raise_for_status().text


@pytest.mark.parametrize(("name", "stream"), BOTH)
def test_a_recording_of_it_answers_the_same(name: str, stream: bool) -> None:
    app = App(load({"rules": [{"reply": {"content": "Hello there"}}]}))
    response = send(app, request(name, stream))
    for form in ("fakellm", "har"):
        cassette = read(text(app, f"recording?format={form}").encode(), "a recording")
        replayed, _ = handled(Replay([cassette]), request(name, stream))
        assert replayed.body == response.body


def test_the_recording_of_a_reply_that_broke_off_has_what_was_sent() -> None:
    app = App(load({"rules": [{"reply": {"content": "One two three"}}]}))
    _, entry = handled(app, request("chat", True))
    entry.frames_sent, entry.outcome = 2, "client left"
    (interaction,) = read(text(app, "recording").encode(), "a recording").interactions
    assert len(interaction.response.frames) == 2
    assert interaction.response.end == "close"


def test_requests_to_a_replayer_are_shown_too() -> None:
    app = App(load({"rules": [{"reply": {"content": "Hello there"}}]}))
    send(app, request("chat", True))
    replay = Replay([read(text(app, "recording").encode(), "a recording")])
    send(replay, request("chat", True))  # type: ignore[arg-type] # any application answers it
    assert joined(shown(replay)["wire"]["frames"], "text") == "Hello there"
