"""Recordings are served as they are: which one answers a request, what is sent, and the whole corpus byte for byte."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakellm
from fakellm.engine.entry import Entry
from fakellm.engine.response import Response, Work
from fakellm.importing.importer import imported
from fakellm.recordings import request_identity
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats import fakellm_jsonl, read_file
from fakellm.recordings.redaction import redacted
from fakellm.recordings.request_identity import Ignored, api, differences, key, key_and_sketch, summary
from fakellm.server.connections.listening import listen
from fakellm.server.http_server import Server
from fakellm.server.replay_app import Replay
from fakellm.server.scenario_app import HttpRequest
from fakellm.testing.handle import Handle
from fakellm.wire.http.http1 import bursts
from fakellm.wire.plan import Frame, Plan
from tests.conftest import CORPUS, ROOT, chat, handled, respond
from tests.wire_reader import receive

ANY = Ignored()
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, width=32)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def interaction(body: bytes = b"", sent: bytes = b"{}", url: str = "/v1/chat/completions", **plan: Any) -> Interaction:
    fields: dict[str, Any] = {"status": 200, "headers": (), "frames": (Frame(sent),)}
    return Interaction(RecordedRequest("POST", url, (), body), Plan(**fields | plan))


def tape(*interactions: Interaction, framed: bool = False) -> Cassette:
    return Cassette("tape", interactions, framed)


def answered(app: Replay, body: bytes, path: str = "/v1/chat/completions", method: str = "POST") -> bytes:
    answer = respond(app, HttpRequest(method, path, body))
    return answer.plan.body


# Which requests are the same


def rearranged(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: rearranged(value[name]) for name in reversed(value)}
    return [rearranged(item) for item in value] if isinstance(value, list) else value


@given(JSON)
def test_the_order_of_keys_and_white_space_do_not_matter(value: Any) -> None:
    other = json.dumps(rearranged(value), indent=3, ensure_ascii=False).encode("utf-8", "surrogatepass")
    one = RecordedRequest("POST", "/v1/chat/completions", (), json.dumps(value).encode())
    two = RecordedRequest("post", "/v1/chat/completions?api-version=2", (), other)
    assert key(one, ANY) == key(two, ANY)
    assert differences(one, two, ANY) == []


@given(JSON, JSON)
def test_two_bodies_are_the_same_or_differ_in_something(one: Any, other: Any) -> None:
    pair = [RecordedRequest("POST", "/v1", (), json.dumps(value).encode()) for value in (one, other)]
    assert (key(pair[0], ANY) == key(pair[1], ANY)) == (differences(pair[0], pair[1], ANY) == [])


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_bodies_that_are_not_json_are_compared_too(one: bytes, other: bytes) -> None:
    pair = [RecordedRequest("POST", "/v1", (), b"<" + body) for body in (one, other)]
    assert (key(pair[0], ANY) == key(pair[1], ANY)) == (one == other) == (differences(pair[0], pair[1], ANY) == [])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b'{"t": 1}', b'{"t": 1.0}', True),
        (b'{"t": 1}', b'{"t": true}', False),
        (b'{"t": 0}', b'{"t": false}', False),
        (b'{"t": null}', b"{}", False),
        (b"[1, 2]", b"[2, 1]", False),
        (b'"1"', b"1", False),
        ('{"t": "é"}'.encode(), b'{"t": "\\u00e9"}', True),
        (b"[" * 5000 + b"]" * 5000, b"[" * 5000 + b"]" * 5000, True),
        (b"no json", b"no  json", False),
    ],
)
def test_what_is_the_same_body(one: bytes, other: bytes, same: bool) -> None:
    pair = [RecordedRequest("POST", "/v1", (), body) for body in (one, other)]
    assert (key(pair[0], ANY) == key(pair[1], ANY)) == same


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.x.ai/v1/chat/completions", "chat/completions"),
        ("https://openrouter.ai/api/v1/chat/completions", "chat/completions"),
        ("https://api.z.ai/api/paas/v4/chat/completions", "chat/completions"),
        ("https://x.azure.com/openai/deployments/gpt-4/chat/completions?api-version=2024-06-01", "chat/completions"),
        ("https://models.github.ai/inference/chat/completions", "chat/completions"),
        ("/chat/completions", "chat/completions"),
        ("https://x.azure.com/openai/deployments/ada/embeddings", "embeddings"),
        ("https://api.writer.com/v1/chat", "chat"),
        ("/chat", "chat"),
        ("https://g.com/v1beta/models/gemini:generateContent", "models/gemini:generateContent"),
        ("/v1/completions", "completions"),
        ("", ""),
    ],
)
def test_the_api_is_found_in_every_url(url: str, name: str) -> None:
    assert api(url) == name


@pytest.mark.parametrize("ignore", ["user", "metadata.run_id", "messages[1].id", "messages[*].id", "messages.*.id"])
def test_what_is_ignored_does_not_count(ignore: str) -> None:
    def body(volatile: str) -> bytes:
        values = {place: volatile if place == ignore else "same" for place in ("user", "metadata.run_id")}
        ids = [
            volatile if ignore in ("messages[*].id", "messages.*.id") else "same",
            volatile if "[1]" in ignore else "x",
        ]
        sent = {"user": values["user"], "metadata": {"run_id": values["metadata.run_id"], "a": 1}}
        return json.dumps(sent | {"messages": [{"id": each} for each in ids]}).encode()

    app = Replay([tape(interaction(body("one"), b"yes"))], ignore=[ignore])
    assert answered(app, body("two")) == b"yes"
    assert answered(Replay([tape(interaction(body("one"), b"yes"))]), body("two")) != b"yes"


@pytest.mark.parametrize("place", ["", "a..b", "a[", "a[x]", ".", "a]"])
def test_a_place_that_cannot_be_read_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match="is not a place in a body; write one such as user"):
        Replay([], ignore=[place])


# Which recording answers


def test_each_answers_once_in_order_and_then_the_last_again() -> None:
    app = Replay([tape(interaction(b"1", b"a"), interaction(b"2", b"b")), tape(interaction(b"1", b"c"))])
    assert [answered(app, body) for body in (b"1", b"1", b"1", b"2", b"2")] == [b"a", b"c", b"c", b"b", b"b"]
    assert answered(app, b"1", "/s/other/v1/chat/completions") == b"a"
    app.handle(HttpRequest("POST", "/_fakellm/reset"))
    assert answered(app, b"1") == b"a"


def test_each_answers_once_and_then_none() -> None:
    app = Replay([tape(interaction(b"1", b"a"), interaction(b"1", b"b"))], again="fail")
    assert [answered(app, b"1") for _ in range(2)] == [b"a", b"b"]
    answer, entry = handled(app, HttpRequest("POST", "/v1/chat/completions", b"1"))
    assert (answer.plan.status, entry.matched, entry.rule) == (404, False, None)
    assert entry.explanation == (
        "Each recording of this request has been served: tape#1, tape#2. --again repeat serves the last again."
    )


def test_a_recording_without_a_request_answers_any() -> None:
    app = Replay([tape(interaction(b"", b"any"), interaction(b'{"a":1}', b"one"))])
    assert [answered(app, body) for body in (b'{"a": 1}', b'{"a": 2}', b"")] == [b"one", b"any", b"any"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions", "/api/v1/chat/completions?x=1"])
@pytest.mark.parametrize("recorded", ["https://openrouter.ai/api/v1/chat/completions", "/v1/chat/completions"])
def test_a_client_pointed_anywhere_reaches_it(path: str, recorded: str) -> None:
    assert answered(Replay([tape(interaction(b"1", b"a", recorded))]), b"1", path) == b"a"


MISSES = [
    (chat(model="n"), "/v1/chat/completions", 'model: expected "m", got "n"'),
    (chat(seed=1), "/v1/chat/completions", "seed: expected nothing, got 1"),
    (chat(messages=[]), "/v1/chat/completions", 'messages[0]: expected {"role":"user","content":"Hello"}, got nothing'),
    (chat(), "/v1/completions", "path: expected /v1/chat/completions, got /v1/completions"),
    (b"{", "/v1/chat/completions", f'body: expected {json.dumps(chat().decode())[:60]}…, got "{{"'),
]


@pytest.mark.parametrize(("body", "path", "text"), MISSES, ids=[text.partition(":")[0] for _, _, text in MISSES])
def test_a_miss_names_the_nearest_and_what_differs(body: bytes, path: str, text: str) -> None:
    far = interaction(chat(model="far", stream=True, top_p=1))
    app = Replay([tape(interaction(chat()), far)])
    answer, entry = handled(app, HttpRequest("POST", path, body))
    error = json.loads(answer.plan.body)["error"]
    assert error["message"] == f"No recording answers this request. The nearest is tape#1; it differs in {text}."
    assert (answer.plan.status, error["code"], error["type"]) == (404, "no_matching_recording", "invalid_request_error")
    assert ("x-should-retry", "false") in answer.plan.headers
    assert (entry.matched, entry.explanation) == (False, error["message"])


@pytest.mark.parametrize("many", [50, 500])
def test_a_miss_compares_few_of_many_recordings_and_names_the_nearest(
    many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def body(number: int, **more: Any) -> bytes:
        return chat(messages=[{"role": "user", "content": f"{number} of {turn}"} for turn in range(9)], **more)

    app = Replay([tape(*(interaction(body(number)) for number in range(many)), interaction(b"", url="/v1/x"))])
    compared: list[str] = []

    def counted(recorded: RecordedRequest, *rest: Any) -> list[tuple[str, str]]:
        compared.append(recorded.url)
        return differences(recorded, *rest)

    monkeypatch.setattr(request_identity, "differences", counted)
    for number in (0, many // 2, many - 1):
        message = json.loads(answered(app, body(number, top_p=1)))["error"]["message"]
        assert message.endswith(f"The nearest is tape#{number + 1}; it differs in top_p: expected nothing, got 1.")
    assert len(compared) == 3 * 10


@given(st.lists(JSON, min_size=11, max_size=30), JSON)
def test_equal_bodies_have_equal_sketches(values: list[Any], value: Any) -> None:
    requests = [RecordedRequest("POST", "/v1", (), json.dumps(each).encode()) for each in (*values, value)]
    (last, sketch), *others = (key_and_sketch(each, ANY) for each in reversed(requests))
    assert last == key(requests[-1], ANY)
    assert all(other == sketch for same, other in others if same == last)


KEY = "sk-0123456789-abcdefgh"


def test_a_request_with_secrets_is_that_of_a_recording_without_them() -> None:
    headers = (("Authorization", f"Bearer {KEY}"),)
    body = chat(user=KEY, tools=[{"headers": {"x-api-key": "a-key-of-mine"}}])
    recorded = redacted(Interaction(RecordedRequest("POST", "/v1/x", headers, body), interaction().response))
    assert KEY.encode() not in recorded.request.body
    assert b"a-key-of-mine" not in recorded.request.body
    for relay in (False, True):
        app = Replay([tape(recorded)], relay=relay)
        outcome, _ = app.handle(HttpRequest("POST", "/v1/x", body, dict(headers)))
        assert isinstance(outcome, Response)
        assert outcome.head.status == 200


def test_a_recorded_secret_is_not_shown_as_a_difference() -> None:
    app = Replay([tape(interaction(chat(password="what was recorded", user="a")))])
    message = answered(app, chat(password="what is sent", user="b"))
    assert b"password: expected another secret" in message
    assert b'user: expected \\"a\\", got \\"b\\"' in message
    assert b"what was recorded" not in message
    assert b"what is sent" not in message


@given(st.text("ab", max_size=30), st.text("ab", max_size=30))
def test_long_texts_are_shown_where_they_differ(one: str, other: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request_identity, "_COMPARED", 4)
        same = request_identity._first_difference(one, other)
    assert one[:same] == other[:same]
    assert one == other or one[same : same + 1] != other[same : same + 1]


@pytest.mark.parametrize("body", [chat(user="x" * 70_000), b"[" * 70_000, b"", chat(user="another")])
def test_long_bodies_are_searched_in_a_thread_with_the_same_answer(body: bytes) -> None:
    """Of the request, and of a recording that it is compared with."""
    recorded = interaction(chat(user="x" * 70_000), b"found")
    app = Replay([tape(recorded)])
    request = HttpRequest("POST", "/v1/chat/completions", body)
    assert isinstance(app.handle(request)[0], Work)
    response, entry = handled(app, request)
    direct = app._answer(request)
    assert isinstance(direct, Response)
    assert (response.plan, response.rule, response.explanation) == (direct.plan, direct.rule, direct.explanation)
    view = json.loads(respond(app, HttpRequest("GET", "/_fakellm/journal")).plan.body)["entries"]
    assert view[1]["request"] == (json.loads(body) if body.startswith(b"{") else body.decode() or None)
    assert view[1]["status"] == response.head.status == entry.status


def test_neither_the_journal_nor_a_message_has_secrets() -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    for relay in (False, True):
        app = Replay([tape(interaction(chat()))], relay=relay)
        request = HttpRequest("POST", f"/v1/chat/completions?key={KEY}&a=b", chat(user=KEY), headers)
        outcome, entry = app.handle(request)
        assert entry.path == "/v1/chat/completions?key=REDACTEDREDACTEDREDACT&a=b"
        assert KEY not in str(entry.explanation)
        view = respond(app, HttpRequest("GET", "/_fakellm/journal")).plan.body
        assert json.loads(view)["entries"][0]["request"]["user"] == "REDACTEDREDACTEDREDACT"
        assert KEY.encode() not in view
        if isinstance(outcome, Response):
            assert KEY.encode() not in outcome.plan.body
            assert b"user: expected nothing" in outcome.plan.body


@pytest.mark.parametrize(
    "url", ["//[x/v1/chat/completions", "http://[::1/v1/chat/completions", "http://h:x/chat/completions"]
)
def test_a_url_that_is_none_is_replayed_and_imported(url: str) -> None:
    recorded = interaction(chat(), url=url)
    assert api(url) == "chat/completions"
    assert answered(Replay([tape(recorded)]), chat()) == b"{}"
    assert redacted(recorded) == recorded
    _, (report,) = imported([tape(recorded)])
    assert report.outcome != "left out"


def test_a_long_text_is_shown_where_it_begins_to_differ() -> None:
    pair = [RecordedRequest("POST", "/v1", (), json.dumps({"a": "x" * 5000 + end}).encode()) for end in ("one", "two")]
    assert summary(differences(pair[0], pair[1], ANY)) == 'a: expected …"xxxxxxxxxxxxxxxone", got …"xxxxxxxxxxxxxxxtwo"'


def test_many_differences_are_counted() -> None:
    pair = [
        RecordedRequest("POST", "/v1", (), json.dumps([start + n for n in range(9)]).encode()) for start in (0, 100)
    ]
    assert summary(differences(pair[0], pair[1], ANY)).endswith("[4]: expected 4, got 104; and 4 more")


# What is sent


def test_a_stream_in_one_piece_is_divided_into_its_events() -> None:
    blocks = [b": hi\n\n", b"data: 1\r\n\r\n", b"data: 2\ndata: 3\n\n\n", b"data: [DONE]"]
    stream = interaction(sent=b"".join(blocks), delimited="chunked", headers=(("content-type", "text/event-stream"),))
    with fakellm.replay(tape(stream)) as server:
        assert receive(server.base_url + "/chat/completions", chat()).pieces == blocks
    with fakellm.replay(tape(stream, framed=True)) as server:
        assert receive(server.base_url + "/chat/completions", chat()).pieces == [b"".join(blocks)]


@given(st.text("\r\nd: ", max_size=40))
def test_dividing_a_stream_loses_nothing(text: str) -> None:
    stream = interaction(sent=b":" + text.encode(), delimited="chunked")
    answer = respond(Replay([tape(stream)]), HttpRequest("POST", "/v1/chat/completions"))
    assert answer.plan.body == b":" + text.encode()


def test_the_headers_that_matter_are_sent() -> None:
    headers = (
        ("X-Request-ID", "r1"),
        ("Retry-After", "3"),
        ("Connection", "keep-alive"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "999"),
        ("Set-Cookie", "a=b"),
        (":status", "429"),
        ("Evil", "a\r\nb: c"),
        ("X-Name", "é"),
    )
    with fakellm.replay(tape(interaction(status=429, headers=headers))) as server:
        got = receive(server.base_url + "/chat/completions", chat())
    assert (got.status, got.body, got.end) == (429, b"{}", "complete")
    assert got.headers == {
        "x-request-id": "r1",
        "retry-after": "3",
        "x-name": "é",
        "x-fakellm-recording": "tape#1",
        "content-length": "2",
        "connection": "close",
    }


def test_the_trailers_that_matter_are_sent() -> None:
    trailers = (("X-Checksum", "1"), ("Content-Length", "9"), ("Evil", "a\r\nb: c"))
    answer = respond(
        Replay([tape(interaction(trailers=trailers, delimited="chunked"))]), HttpRequest("POST", "/v1/chat/completions")
    )
    assert answer.plan.trailers == (("X-Checksum", "1"),)


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_response_that_broke_off_breaks_off_again(end: str) -> None:
    headers = (("Content-Length", "10"),)
    with fakellm.replay(tape(interaction(sent=b"12345", headers=headers, end=end))) as server:
        got = receive(server.base_url + "/chat/completions", chat())
    assert (got.headers["content-length"], got.body, got.end) == ("10", b"12345", end)


def test_an_empty_frame_does_not_end_the_body() -> None:
    frames = (Frame(b"a"), Frame(b""), Frame(b"b"))
    with fakellm.replay(tape(interaction(frames=frames, delimited="chunked"), framed=True)) as server:
        assert receive(server.base_url + "/chat/completions", chat()).replayable == (200, [b"a", b"b"], "complete")


def test_recorded_waits_are_optional() -> None:
    slow = interaction(frames=(Frame(b"a", 2.0), Frame(b"b", 1.0)), delay=0.5, delimited="chunked")
    for timing, waits in ((False, [0.0]), (True, [0.5, 2.0, 1.0])):
        answer = respond(Replay([tape(slow, framed=True)], timing=timing), HttpRequest("POST", "/v1/chat/completions"))
        assert [burst.delay for burst in bursts(answer.plan)] == waits


# Over HTTP


def test_what_nothing_can_relay_is_refused() -> None:
    """A server that relays what no recording answers, and has nothing to relay it to, does not leave a client waiting."""

    async def main() -> tuple[int, Any, list[Entry]]:
        app = Replay([], relay=True)
        server = Server(app)
        url = await server.start(listen("127.0.0.1", 0))
        async with aiohttp.ClientSession() as client, client.post(f"{url}/v1/models", data=chat()) as response:
            body = await response.json()
        await server.stop(0)
        return response.status, body, list(app.session("").journal)

    status, body, journal = asyncio.run(main())
    assert (status, body["error"]["code"], body["error"]["type"]) == (502, "no_upstream", "server_error")
    assert body["error"]["message"] == "No recording answers POST /v1/models, and there is no upstream to ask."
    assert [(entry.status, entry.explanation) for entry in journal] == [(502, body["error"]["message"])]


def test_control_routes_and_sessions(caplog: pytest.LogCaptureFixture) -> None:
    with fakellm.replay(tape(interaction(chat(), b"a"), interaction(chat(), b"b")), again="fail") as server:
        sessions = [server, server.session("one"), server.session("two")]
        bodies = [receive(each.base_url + "/chat/completions", chat()).body for each in sessions]
        assert bodies == [b"a", b"a", b"a"]
        assert receive(sessions[1].base_url + "/chat/completions", chat()).body == b"b"
        assert [entry.rule for entry in sessions[1].journal] == ["tape#1", "tape#2"]
        assert server.journal[0].request == json.loads(chat())
        health = server.health()
        assert (health["status"], health["recordings"], health["interactions"]) == ("ok", ["tape"], 2)
        sessions[1].reset()
        assert sessions[1].journal == []
        receive(server.base_url + "/embeddings", b"x")
        assert [entry.matched for entry in server.journal] == [True, False]
        with pytest.raises(fakellm.ServerError, match="Unknown request URL: PUT /_fakellm/scenario"):
            server.load({"rules": []})
    assert "The nearest is tape#1; it differs in path: expected /v1/chat/completions, got /v1/embeddings" in caplog.text


def write(folder: Path, *interactions: Interaction) -> Path:
    file = folder / "r.jsonl"
    file.write_bytes(fakellm_jsonl.dump(Cassette("r", interactions)))
    return file


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "fakellm", *map(str, arguments)]


def test_the_command_serves_files(tmp_path: Path) -> None:
    body = json.dumps({"a": 1, "user": "one"}).encode()
    file = write(tmp_path, interaction(body, b"a"))
    arguments = command("replay", file, "--ignore", "user", "--again", "fail", "--port", "0", "--ready", "json")
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout
        server = Handle(json.loads(process.stdout.readline())["url"])
        got = [receive(server.base_url + "/chat/completions", b'{"a":1,"user":"two"}') for _ in range(2)]
        process.terminate()
    assert [each.status for each in got] == [200, 404]
    assert got[0].headers["x-fakellm-recording"] == f"{file}#1"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["absent.jsonl"], "absent.jsonl: "),
        (["README.md"], "README.md"),
        ([], "Missing argument 'FILE...'"),
        (["tests/golden", "--ignore", "a["], "tests/golden"),
    ],
)
def test_what_cannot_be_read_is_reported_and_ends_with_2(arguments: list[str], text: str) -> None:
    ended = subprocess.run(command("replay", *arguments), cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert text in ended.stderr
    assert "Traceback" not in ended.stderr


# All recordings there are


def recordings() -> list[Cassette]:
    index = CORPUS / "index.json"
    if not index.exists():
        pytest.skip(f"the recordings are not here: no {index}")
    return [read_file(CORPUS / entry["file"]) for entry in json.loads(index.read_text())["entries"]]


def test_every_recording_comes_back_byte_for_byte() -> None:
    cassettes = recordings()
    assert sum(len(cassette.interactions) for cassette in cassettes) >= 825
    differing: list[str] = []

    async def play(client: aiohttp.ClientSession, url: str, cassette: Cassette) -> None:
        for number, each in enumerate(cassette.interactions, 1):
            path = urlsplit(each.request.url)
            target = f"{url}/{path.path.removeprefix('/')}?{path.query}"  # some have a name for a host
            async with client.request(each.request.method, target, data=each.request.body) as response:
                same = (response.status, await response.read()) == (each.response.status, each.response.body)
                if not same:
                    differing.append(f"{cassette.name}#{number}: {response.headers.get('x-fakellm-recording')}")

    async def main() -> None:
        async with aiohttp.ClientSession(auto_decompress=False) as client:
            for cassette in cassettes:
                server = Server(Replay([cassette]))
                await play(client, await server.start(listen("127.0.0.1", 0)), cassette)
                await server.stop(0)

    asyncio.run(main())
    assert differing == []
