"""Every format of recordings is read; what is written is read back; damage is reported; the whole corpus is read."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fakellm.base.errors import CassetteError
from fakellm.cli import main
from fakellm.recordings import content_codings, formats
from fakellm.recordings.cassette import Cassette, Headers, Interaction, RecordedRequest
from fakellm.recordings.formats import (
    BYTES,
    MOST_BYTES,
    TREES,
    WRITERS,
    fakellm_jsonl,
    read,
    read_file,
    write,
    yaml_values,
)
from fakellm.recordings.formats.response_reader import dechunked, plan
from fakellm.recordings.formats.response_writer import grouped, written
from fakellm.recordings.recording_file import RecordingFile
from fakellm.wire.plan import Frame, Plan
from tests.conftest import CORPUS, ROOT
from tests.test_commands import runner

FILES = sorted((ROOT / "tests" / "recordings").iterdir())
NAMED = {file.name: file for file in FILES}
REQUEST = {"model": "m", "stream": True}
EVENTS = ('data: {"choices":[{"index":0,"delta":{"content":"Hé"}}]}\n\n'.encode(), b"data: [DONE]\n\n")
OTHERS = ("body.json", "chunks.jsonl", "cachy.jsonl")


# One exchange, in every format


def only(name: str) -> Interaction:
    (interaction,) = read_file(NAMED[name]).interactions
    return interaction


@pytest.mark.parametrize("name", [name for name in NAMED if name not in OTHERS])
def test_every_format_has_the_same_exchange(name: str) -> None:
    request, plan = only(name).request, only(name).response
    assert request.method == "POST"
    assert request.url.removeprefix("https://api.example.com").removeprefix(":443") == "/v1/chat/completions"
    assert request.body == b"" or json.loads(request.body) == REQUEST
    assert (plan.status, plan.body, plan.delimited, plan.end) == (200, b"".join(EVENTS), "chunked", "complete")
    lower = [(key.lower(), value) for key, value in plan.headers]
    assert ("content-type", "text/event-stream") in lower
    assert not {key for key, _ in lower} & {"content-encoding", "content-length", "transfer-encoding", ":status"}


@pytest.mark.parametrize(
    ("name", "delay", "frames"),
    [
        ("go-vcr-2.yaml", 1.25, [0.0]),
        ("browser.har", 1.25, [0.2505]),
        ("wiremock.json", 1.25, [0.0]),
        ("own.jsonl", 1.25, [0.25, 0.01]),
        ("hoverfly.json", 1.25, [0.0]),
        ("mitmproxy.flow", 1.25, [0.25]),
    ],
)
def test_recorded_times_are_delays(name: str, delay: float, frames: list[float]) -> None:
    response = only(name).response
    assert response.delay == delay
    assert [frame.delay for frame in response.frames] == frames


@pytest.mark.parametrize("name", ["curl-raw.txt", "own.jsonl"])
def test_what_arrived_together_is_a_frame_if_the_file_has_it(name: str) -> None:
    assert tuple(frame.data for frame in only(name).response.frames) == EVENTS


def test_headers_keep_their_order_and_their_repetitions() -> None:
    headers = (("content-type", "text/event-stream"), ("set-cookie", "a"), ("set-cookie", "b"))
    assert only("curl-i.txt").response.headers == headers


def test_a_date_without_quotes_is_text() -> None:
    assert ("openai-version", "2020-10-01") in only("httpmock.yaml").response.headers


def test_the_bytes_of_a_raw_body_are_kept() -> None:
    assert only("body.json").response == Plan(
        200, (("Content-Type", "application/json"),), (Frame(NAMED["body.json"].read_bytes()),)
    )


def test_half_a_surrogate_pair_in_a_raw_body_is_kept() -> None:
    data = rb'{"choices": [{"message": {"content": "\ud83c"}}]}'
    assert read(data, "x").interactions[0].response.body == data


def test_the_json_of_events_becomes_events() -> None:
    lines = NAMED["chunks.jsonl"].read_bytes().split(b"\n")
    assert only("chunks.jsonl").response.body == b"data: %b\n\ndata: %b\n\n" % (lines[0], lines[1])


def test_responses_that_were_cached_alone_are_interactions() -> None:
    whole, stream = read_file(NAMED["cachy.jsonl"]).interactions
    assert whole.request.url == stream.request.url == "/v1/messages"
    assert json.loads(whole.response.body)["content"][0]["text"] == "Hé"
    assert (whole.response.delimited, stream.response.delimited) == ("length", "chunked")
    with pytest.raises(CassetteError, match="x:2: expected an object with the text 'response'"):
        read(b'{"key": "a", "response": "{}"}\n{"key": "b"}\n', "x")


def test_a_byte_order_mark_before_a_file_is_ignored() -> None:
    assert read(b"\xef\xbb\xbf" + NAMED["test-proxy.json"].read_bytes(), "x").interactions


@pytest.mark.parametrize("status", [0, -1])
def test_an_entry_without_a_response_closes_the_connection(status: int) -> None:
    archive = json.loads(NAMED["browser.har"].read_bytes())
    archive["log"]["entries"][0]["response"].update(status=status, content={})
    response = read(json.dumps(archive).encode(), "x").interactions[0].response
    assert (response.status, response.frames, response.end) == (None, (), "close")


def test_a_contract_of_version_4_of_pact_is_refused() -> None:
    contract = NAMED["pact.json"].read_text().replace("3.0.0", "4.0")
    with pytest.raises(CassetteError, match=r"^f: metadata\.pactSpecification\.version '4\.0' is not supported"):
        read(contract.encode(), "f")


def test_a_body_that_mitmproxy_streamed_was_not_kept() -> None:
    content = re.compile(rb"(8:response;)267(:.*?7:content;)73:.*?\n\n,(8:trailers)", re.DOTALL)
    flow, found = content.subn(rb"\g<1>193\g<2>0:~\g<3>", NAMED["mitmproxy.flow"].read_bytes())
    flow = flow.replace(b"714:9:websocket", b"640:9:websocket", 1)
    with pytest.raises(CassetteError, match=r"response\.content: its body was not kept: record without") as raised:
        read(flow, "f")
    assert (found, len(raised.value.problems)) == (1, 1)


def test_a_flow_with_an_error_is_a_connection_that_broke_off() -> None:
    flow = NAMED["mitmproxy.flow"].read_bytes()
    error = b"5:error;24:3:msg;14:server closed.,}"
    flow = flow.replace(b"5:error;0:~", error).replace(b"714:", b"%d:" % (714 + len(error) - len(b"5:error;0:~")), 1)
    assert read(flow, "f").interactions[0].response.end == "close"
    assert only("mitmproxy.flow").response.end == "complete"


def test_wiremock_keeps_a_body_in_a_file_of_its_own(tmp_path: Path) -> None:
    stub = {"request": {"url": "/v1", "method": "POST"}, "response": {"status": 200, "bodyFileName": "b.json"}}
    (tmp_path / "mappings").mkdir()
    (tmp_path / "__files").mkdir()
    mapping = tmp_path / "mappings" / "a.json"
    mapping.write_text(json.dumps(stub))
    with pytest.raises(CassetteError, match=r"a\.json: the body is in the file 'b\.json', which is not in .*__files"):
        read_file(mapping)
    (tmp_path / "__files" / "b.json").write_bytes(b"{}")
    assert read_file(mapping).interactions[0].response.body == b"{}"
    mapping.write_text(json.dumps(stub).replace("b.json", "../secret"))
    with pytest.raises(CassetteError, match="not read from here"):
        read_file(mapping)


def stub(response: dict[str, Any], **request: Any) -> bytes:
    """A mapping of WireMock."""
    return json.dumps({"request": {"url": "/v1", "method": "POST", **request}, "response": response}).encode()


@pytest.mark.parametrize(("fault", "end"), [("EMPTY_RESPONSE", "close"), ("CONNECTION_RESET_BY_PEER", "reset")])
def test_a_fault_of_wiremock_is_the_end_of_the_connection(fault: str, end: str) -> None:
    plan = read(stub({"fault": fault, "fixedDelayMilliseconds": 500}), "f").interactions[0].response
    assert (plan.status, plan.frames, plan.end, plan.delay) == (None, (), end, 0.5)


def test_the_mappings_of_wiremock_are_in_the_order_of_their_priority() -> None:
    mappings = [
        {**json.loads(stub({"status": 200, "body": body})), **priority}
        for body, priority in (("late", {"priority": 9}), ("usual", {}), ("first", {"priority": 1}), ("same", {}))
    ]
    expected = [b"first", b"usual", b"same", b"late"]
    documents = "".join(f"---\n{json.dumps(mapping)}\n" for mapping in mappings)
    for data in (json.dumps({"mappings": mappings}), documents):
        assert [each.response.body for each in read(data.encode(), "f").interactions] == expected


def test_a_body_that_wiremock_dribbles_has_its_pieces() -> None:
    dribble = {"numberOfChunks": 4, "totalDuration": 1000}
    plan = read(stub({"status": 200, "body": "abcdefgh", "chunkedDribbleDelay": dribble}), "f").interactions[0].response
    assert [(frame.data, frame.delay) for frame in plan.frames] == [
        (b"ab", 0.25),
        (b"cd", 0.25),
        (b"ef", 0.25),
        (b"gh", 0.25),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (stub({"body": "a"}), "[0].response.status: the key 'status' is missing"),
        (
            stub({"status": 200, "fault": "RANDOM_DATA_THEN_CLOSE"}),
            "[0].response.fault: 'RANDOM_DATA_THEN_CLOSE' is not one of EMPTY_RESPONSE",
        ),
        (stub({"status": 200, "delayDistribution": {}}), "[0].response.delayDistribution: unknown key"),
        (stub({"status": 200, "proxyBaseUrl": "http://h"}), "[0].response.proxyBaseUrl: unknown key"),
        (
            stub({"status": 200, "body": "{{request.body}}", "transformers": ["response-template"]}),
            "[0].response.transformers: the body is a template",
        ),
        (stub({"status": 200}, bodyPatterns=[{"contains": "a"}]), "bodyPatterns[0].contains: unknown key"),
        (stub({"status": 200}, url=None, urlPattern="/v1/.*"), "the pattern '/v1/.*' matches more than one URL"),
        (b"when: {path: /v1}\nthen: {body: a}", "f: [0].then.status: the key 'status' is missing"),
        (b"when: {path: /v1, body_contains: a}\nthen: {status: 200}", "f: [0].when.body_contains: unknown key"),
        (
            b'{"data": {"pairs": [{"request": {"path": [{"matcher": "glob", "value": "*"}], "method": []}, '
            b'"response": {"status": 200}}]}, "meta": {}}',
            "f: data.pairs[0].request.path[0].matcher: 'glob' is not read; it must be exact or json, with a text",
        ),
        (b"requests: [{method: GET, uri: /}]\nresponses: []", "f: 1 request and 0 responses"),
        (b"5:a;", "f: not a recording in a supported format; tried vcrpy, go-vcr, ruby-vcr, "),
        (b"30:7:request;0:}", "f: no value of a flow at byte 0: the file was cut off or damaged"),
    ],
)
def test_what_a_stub_requires_and_no_recording_can_send_is_an_error(data: bytes, message: str) -> None:
    with pytest.raises(CassetteError) as found:
        read(data, "f")
    assert message in str(found.value)


def test_a_pattern_of_a_url_that_matches_only_one_is_that_url() -> None:
    data = stub({"status": 200}, url=None, urlPathPattern="/v1/chat/completions")
    assert read(data, "f").interactions[0].request.url == "/v1/chat/completions"


def test_playwright_keeps_bodies_in_files_beside_the_recording(tmp_path: Path) -> None:
    with zipfile.ZipFile(NAMED["playwright.zip"]) as archive:
        archive.extractall(tmp_path)
    assert read_file(tmp_path / "har.har").interactions == read_file(NAMED["playwright.zip"]).interactions
    (tmp_path / "response.txt").unlink()
    with pytest.raises(CassetteError, match=r"the body is in the file 'response\.txt', which is not in "):
        read_file(tmp_path / "har.har")


def test_a_damaged_entry_does_not_discard_the_others() -> None:
    entry = yaml_values.documents(NAMED["vcrpy.yaml"].read_bytes(), "x")[0]["interactions"][0]
    damaged = {"request": entry["request"], "response": {"status": {"code": "none"}}}
    cassette = read(json.dumps({"interactions": [entry, damaged, entry]}).encode(), "f")
    assert len(cassette.interactions) == 2
    assert cassette.notes == (
        "f: interactions[1].response.status.code: expected integer, got string: this interaction is left out",
    )


def test_a_key_that_is_not_known_is_noted_once_with_its_place() -> None:
    entry = yaml_values.documents(NAMED["vcrpy.yaml"].read_bytes(), "x")[0]["interactions"][0]
    odd = {**entry, "retries": 2, "response": {**entry["response"], "trailers": {}}}
    notes = read(json.dumps({"interactions": [odd, odd]}).encode(), "f").notes
    assert notes == ("f: interactions[*].response.trailers: ignored", "f: interactions[*].retries: ignored")


@pytest.mark.parametrize("name", sorted({*NAMED} - {"responses.yaml"}))
def test_nothing_in_a_plain_recording_is_noted(name: str) -> None:
    assert read_file(NAMED[name]).notes == ()


def test_a_request_whose_body_was_not_recorded_is_noted(caplog: pytest.LogCaptureFixture) -> None:
    note = f"{NAMED['responses.yaml']}: interaction 1 has no request body, so it answers any body"
    assert read_file(NAMED["responses.yaml"]).notes == (note,)
    assert caplog.messages == [note]
    stubs = json.dumps({"mappings": [json.loads(stub({"status": 200}))] * 3}).encode()
    assert read(stubs, "f").notes == ("f: interactions 1, 2, 3 have no request body, so they answer any body",)
    many = json.dumps({"mappings": [json.loads(stub({"status": 200}))] * 2_000}).encode()
    names = "1, 2, 3, 4, 5 and 1,995 more"
    assert read(many, "f").notes == (f"f: interactions {names} have no request body, so they answer any body",)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=4), st.sampled_from((b"", b";x=1", b" ")))
def test_chunk_framing_is_removed(chunks: list[bytes], extension: bytes) -> None:
    framed = b"".join(b"%X%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    assert dechunked(framed + b"0\r\n\r\n") == chunks
    assert dechunked(framed + b"0\r\n") is None
    assert plan(200, (), framed + b"0\r\n\r\n", "x").body == b"".join(chunks)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_standard_output_that_cannot_be_written_ends_the_command() -> None:
    command = [sys.executable, "-m", "fakellm", "export", str(NAMED["stream.sse"]), "-o", "-"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (2, "standard output: no space left on device\n")


# Written and read back

_LATIN = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=8).map(str.strip)
_HEADERS = st.lists(st.tuples(st.sampled_from(("X-A", "x-a", "Set-Cookie")), _LATIN), max_size=3).map(tuple)
_DELAYS = st.integers(0, 10_000).map(lambda milliseconds: milliseconds / 1000)
_JSON = st.sampled_from(
    (b"null", b'{"a":1}', b'{"a": 1}', b'{"a":1,"a":2}', b"1.0", b"1e400", b'"\\ud800"', b"[" * 9999)
)
_YAML = st.sampled_from(
    ("~", "yes", "012", "1e5", "1_0", "- a", "a: b", "!x", "2020-01-01", "\x85\u2028 \ufeff\r", "'\n ")
)
_BODIES = st.binary(max_size=40) | st.text(max_size=20).map(str.encode) | _JSON | _YAML.map(str.encode)
_FRAMES = st.builds(Frame, _BODIES, _DELAYS, st.booleans())
_REQUESTS = st.builds(
    RecordedRequest, st.sampled_from(("POST", "GET")), st.just("https://api.x.ai/v1/chat?a=b"), _HEADERS, _BODIES
)
PLANS = st.builds(
    Plan,
    status=st.none() | st.integers(100, 599),
    headers=_HEADERS,
    frames=st.lists(_FRAMES, max_size=3).map(tuple),
    delimited=st.sampled_from(("length", "chunked", "close")),
    header_case=st.none() | st.just("upper"),
    delay=_DELAYS,
    end=st.sampled_from(("complete", "hang_up", "close", "reset", "stall")),
    drip=st.none() | _FRAMES,
    chunks=st.sampled_from((None, "extensions", "zeros")),
    trailers=_HEADERS,
)


def cassettes(plans: st.SearchStrategy[Plan] = PLANS) -> st.SearchStrategy[Cassette]:
    interactions = st.lists(st.builds(Interaction, _REQUESTS, plans), min_size=1, max_size=3)
    return st.builds(Cassette, st.just("x"), interactions.map(tuple))


ANSWERED = PLANS.filter(lambda plan: plan.status is not None)


@given(cassettes())
def test_our_own_format_keeps_everything(cassette: Cassette) -> None:
    assert read(write(cassette, "fakellm"), "x") == replace(cassette, framed=True)


def regrouped(headers: Headers) -> Headers:
    return tuple((name, value) for name, values in grouped(headers).items() for value in values)


@pytest.mark.parametrize("format_", ["vcrpy", "go-vcr"])
@given(cassette=cassettes(ANSWERED))
def test_yaml_keeps_all_but_the_frames(format_: str, cassette: Cassette) -> None:
    for each, again in zip(cassette.interactions, read(write(cassette, format_), "x").interactions, strict=True):
        assert again.request == replace(each.request, headers=regrouped(each.request.headers))
        headers = regrouped(written(each.response))
        delay = each.response.delay if format_ == "go-vcr" else 0.0
        assert again.response == plan(each.response.status or 0, headers, each.response.body, "x", delay=delay)


@given(cassettes())
def test_har_keeps_all_but_the_frames(cassette: Cassette) -> None:
    for each, again in zip(cassette.interactions, read(write(cassette, "har"), "x").interactions, strict=True):
        assert again.request == each.request
        assert again.response.delay == pytest.approx(each.response.delay)
        if each.response.status is None:
            assert (again.response.status, again.response.end) == (None, "close")
        else:
            made = plan(each.response.status, written(each.response), each.response.body, "x")
            assert (again.response.status, again.response.headers) == (made.status, made.headers)
            assert again.response.body == made.body


@given(st.binary())
def test_a_raw_stream_is_its_bytes(rest: bytes) -> None:
    cassette = read(b"data: " + rest, "x")
    assert write(cassette, "sse") == b"data: " + rest


@pytest.mark.parametrize("format_", ["fakellm", "vcrpy", "go-vcr", "har", "sse"])
@pytest.mark.parametrize("name", sorted(set(NAMED) - set(OTHERS)))
def test_every_recording_is_written_in_every_format(name: str, format_: str) -> None:
    response = read(write(read_file(NAMED[name]), format_), "x").interactions[0].response
    assert (response.body, response.delimited) == (b"".join(EVENTS), "chunked")


def test_vcrpy_reads_what_is_written_for_it(tmp_path: Path) -> None:
    vcr = pytest.importorskip("vcr")
    bodies = [b"".join(EVENTS), b"\xff\x00", b"  a\n\n"]
    requests = [
        RecordedRequest("POST", f"https://api.x.ai/{number}", (("A", "b"),), body) for number, body in enumerate(bodies)
    ]
    answers = [Plan(200, (("C", "d"), ("C", "e")), (Frame(body),)) for body in bodies]
    file = tmp_path / "cassette.yaml"
    file.write_bytes(write(Cassette("x", tuple(map(Interaction, requests, answers))), "vcrpy"))
    with vcr.use_cassette(str(file), record_mode="none") as cassette:
        assert [request.uri for request in cassette.requests] == [request.url for request in requests]
        assert [request.body for request in cassette.requests] == bodies
        assert [response["body"]["string"] for response in cassette.responses] == bodies
        assert cassette.responses[0]["headers"] == {"C": ["d", "e"]}


def test_a_request_body_is_json_if_that_has_the_same_bytes() -> None:
    def line(body: bytes) -> bytes:
        return fakellm_jsonl.dump_line(Interaction(RecordedRequest("POST", "/v1", body=body), Plan(200, (), ())))

    assert b'"json":{"a":[1,"\xc3\xa9"]}' in line('{"a":[1,"é"]}'.encode())
    assert b'"text":"{\\"a\\": 1}"' in line(b'{"a": 1}')
    assert b'"base64":"/w=="' in line(b"\xff")


@pytest.mark.parametrize("format_", ["vcrpy", "go-vcr"])
def test_a_format_that_cannot_express_it_raises(format_: str) -> None:
    with pytest.raises(CassetteError, match=r"^interactions\[0\]: no response came"):
        write(Cassette("x", (Interaction(RecordedRequest("POST", "/"), Plan(None, (), (), end="close")),)), format_)


# Damage


def outcome(data: bytes) -> None:
    """Asserts that the data has interactions, or raises a CassetteError that starts with the name of the file."""
    try:
        found, problems = read(data, "the/file").interactions, ["the/file"]
    except CassetteError as error:
        found, problems = (), list(error.problems)
    assert found or problems != ["the/file"]
    assert problems
    assert all(problem.startswith("the/file") for problem in problems)


@settings(max_examples=200)
@given(st.sampled_from(FILES), st.data())
def test_a_file_cut_off_anywhere_is_read_or_refused_with_a_reason(file: Path, data: st.DataObject) -> None:
    whole = file.read_bytes()
    outcome(whole[: data.draw(st.integers(0, len(whole) - 1))])


@settings(max_examples=200)
@given(st.sampled_from(FILES), st.data())
def test_a_file_with_other_bits_is_read_or_refused_with_a_reason(file: Path, data: st.DataObject) -> None:
    damaged = bytearray(file.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=3)):
        damaged[place] ^= data.draw(st.integers(1, 255))
    outcome(bytes(damaged))


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inside for found in paths(item, (*path, key)))]


VALUES = [file for file in FILES if file.suffix in (".yaml", ".yml", ".json", ".har") and file.name != "body.json"]


@settings(max_examples=200)
@given(
    st.sampled_from(VALUES),
    st.sampled_from((None, True, 7, -1, 10**30, 0.5, "", "x", [], ["x"], {}, {"x": 1})),
    st.data(),
)
def test_a_value_of_another_type_is_read_or_refused_with_a_reason(file: Path, value: Any, data: st.DataObject) -> None:
    root = yaml_values.documents(file.read_bytes(), "x")
    path = data.draw(st.sampled_from(paths(root)[1:]))
    parent: Any = root
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    outcome(json.dumps(root[0]).encode(errors="replace"))
    outcome(b"".join(b"---\n" + yaml_values.dump(document) for document in root if "\\ud" not in json.dumps(document)))


@given(st.binary(max_size=200))
def test_what_is_not_a_recording_is_an_error(data: bytes) -> None:
    outcome(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "f: the file is empty"),
        (b" \n\t", "f: the file is empty"),
        (b"# Hello\n\nThis is a text.", "f: not a recording in a supported format"),
        (b'{"name": "x", "version": "1"}', "f: not a recording in a supported format"),
        (b"choices: []", "f: not a recording in a supported format"),
        (b"[]", "f: not a recording in a supported format"),
        (b"interactions: []\nversion: 1", "f: a recording (go-vcr) without an interaction"),
        (b'{"log": {"entries": []}}', "f: a recording (har) without an interaction"),
        (b'{"fakellm":"recording","version":1}\n', "f: a recording (fakellm) without an interaction"),
        (b'{"fakellm":"recording","version":2}\n', "f:1: a recording of version 2; this fakellm reads version 1"),
        (b"httprr trace v1\n", "f: a recording (httprr) without an interaction"),
        (b"httprr trace v1\n5 5\nPOST", "f: [0]: the file ends 6 bytes too early"),
        (b'{"log": {"entries": [', "f:1:22: not valid JSON: the file was cut off"),
        (b'{"log":\n  nope}', "f:2:3: not valid JSON: expecting value"),
        (b"interactions:\n- request: [", "f:3:1: did not find expected node content"),
        (b"interactions:\n- request: 1\n  request: 2", "f:3:3: the key 'request' appears twice; first in line 2"),
        (b"http_interactions:\n- response: {}", "f: http_interactions[0].response.status: the key 'status' is missing"),
        (b"interactions: !!float x", "f: a value that does not fit its tag: could not convert string to float: 'x'"),
        (b"interactions: !!timestamp x", "f: interactions: expected array, got string"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n", "f: no empty line ends the head: the file was cut off"),
        (b"HTTP/1.1 OK\r\n\r\n", "f: 'HTTP/1.1 OK' is not a status line"),
    ],
)
def test_an_error_has_the_place_and_the_cause(data: bytes, message: str) -> None:
    with pytest.raises(CassetteError) as found:
        read(data, "f")
    assert str(found.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("vcrpy.yaml", "code: 200", "code: OK", "interactions[0].response.status.code: expected integer, got string"),
        ("vcrpy.yaml", "code: 200", "code: 2", "interactions[0].response.status.code: expected integer >= 100, got 2"),
        ("vcrpy.yaml", "uri:", "url:", "interactions[0].response.code: the key 'code' is missing"),
        ("vcrpy-gzip.yaml", "- gzip", "- x-lz", "interactions[0].response.body: a body in the content coding 'x-lz'"),
        ("vcrpy-gzip.yaml", "- gzip", "- br", "interactions[0].response.body: the body is not valid br: "),
        ("vcrpy-br.yaml", "- br", "- zstd", "interactions[0].response.body: the body is not valid zstd: "),
        (
            "go-vcr-2.yaml",
            "1.25s",
            "soon",
            "interactions[0].response.duration: 'soon' is not a duration as Go writes it",
        ),
        ("vcrpy.yaml", "uri: https", "uri: !!binary //4=#", "f: interactions[0].request.uri: expected string matching"),
        ("ruby-vcr.yml", "!binary |-", "!ruby/x |-", "15: could not determine a constructor for the tag '!ruby/x'"),
        ("mitmproxy.har", '"base64"', '"zip"', "log.entries[0].response.content.encoding: 'zip' is not supported"),
        ("mitmproxy.har", '"text": "ZG', '"text": "?', "log.entries[0].response.content.text: not valid base64: "),
        ("browser.har", '"text": "data', '"no": "data', "a body of 73 bytes was not kept; export it again with"),
        (
            "wiremock.yaml",
            "  url: ",
            "  uri: ",
            "[0].request.uri: unknown key 'uri'; allowed here: method, url, urlPath",
        ),
        ("wiremock.yaml", "  url: /v1/chat/completions", "", "[0].request: it has none of the keys 'url', 'urlPath'"),
        ("nock.json", "1f8b", "zz", "[0].response: non-hexadecimal number"),
    ],
)
def test_an_error_in_a_recording_names_the_interaction_and_the_key(name: str, old: str, new: str, message: str) -> None:
    text = NAMED[name].read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(CassetteError) as found:
        read(text.replace(old, new).encode(), "f")
    assert message in str(found.value)


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_last_line_that_was_cut_off_is_named(end: bytes) -> None:
    line = fakellm_jsonl.dump_line(Interaction(RecordedRequest("POST", "/v1"), Plan(200, (), ())))
    with pytest.raises(CassetteError, match=r"^r\.jsonl:3:"):
        read(fakellm_jsonl.dumps_header() + line + line[:-20] + end, "r.jsonl")


@pytest.mark.parametrize("package", ["brotli", "zstandard"])
def test_a_missing_library_is_named_with_the_remedy(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    name = {"brotli": "vcrpy-br.yaml", "zstandard": "vcrpy-zstd.yaml"}[package]
    with pytest.raises(CassetteError, match=rf"needs the package {package}: pip install 'fakellm-server\[codings\]'"):
        read_file(NAMED[name])


# What must not end the process


def test_a_yaml_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(CassetteError, match="aliases expand this to"):
        read("\n".join([*lines, "interactions: *a11"]).encode(), "f")


def test_aliases_of_a_long_text_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    request = "{method: GET, uri: 'http://h/'}"
    lines = ["interactions:", f"- {{request: {request}, response: {{status: {{code: 200}}, body: &b '{'x' * 1000}'}}}}"]
    lines += [f"- {{request: {request}, response: {{status: {{code: 200}}, body: *b}}}}"] * 99
    data = "\n".join(lines).encode()
    assert len(read(data, "f").interactions) == 100
    monkeypatch.setattr(yaml_values, "MOST_TEXT", 50_000)
    with pytest.raises(CassetteError, match=r"^f:1:1: aliases expand this to \d{3},\d{3} characters; at most 50,000"):
        read(data, "f")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, gzip", "br", "zstd"])
def test_many_compressed_bodies_are_refused(coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    packers: dict[str, Any] = {"gzip": gzip.compress, "deflate": zlib.compress}
    packers |= {"br": import_module("brotli").compress, "zstd": import_module("zstandard").compress}
    body = bytes(10_000)
    for each in coding.split(", "):
        body = packers[each](body)
    entry = {
        "request": {"method": "GET", "uri": "http://h/"},
        "response": {
            "status": {"code": 200},
            "headers": {"Content-Encoding": [coding]},
            "body": {"string": body},
        },
    }
    data = yaml_values.dump({"interactions": [entry] * 20})
    assert len(read(data, "f").interactions) == 20
    monkeypatch.setattr(content_codings, "MOST_IN_ALL", 100_000)
    with pytest.raises(CassetteError, match="the bodies up to here expand to more than 100,000 bytes"):
        read(data, "f")


def test_a_short_file_is_recognized_in_few_steps() -> None:
    """Each of these lines could once be read in two ways, so that 40 of them took hours."""
    for line in (b"id: 1\r\n", b"id\r\n", b"event: x\r\n\r\n", b"retry\n \n", b"\r\n \t"):
        with pytest.raises(CassetteError):
            read(line * 2_000 + b"x", "f")


def test_a_file_of_a_million_values_is_refused() -> None:
    with pytest.raises(CassetteError, match="more than 1,000,000 values"):
        read(b"- a\n" * 1_000_001, "f")


@pytest.mark.parametrize("opening", [b"a: " + b"[" * 300_000, b'{"log":' + b"[" * 300_000, b"- " * 300_000])
def test_deep_nesting_is_refused(opening: bytes) -> None:
    with pytest.raises(CassetteError, match="nested"):
        read(opening, "f")


def test_a_file_of_200_megabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    with file.open("wb") as opened:
        opened.truncate(200 * 2**20)
    with pytest.raises(CassetteError, match=r"large\.yaml: 209,715,200 bytes; at most 67,108,864 are read"):
        read_file(file)
    with pytest.raises(CassetteError, match="at most 67,108,864 are read"):
        read(bytes(MOST_BYTES + 1), "f")


def test_a_recording_of_our_own_is_read_however_large_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MOST_BYTES", 100)
    file, tape = tmp_path / "large.jsonl", RecordingFile(tmp_path / "large.jsonl")
    for _ in range(10):
        tape.add(tape.number(), only("own.jsonl"))
    tape.close()
    assert file.stat().st_size > 100
    assert len(read_file(file).interactions) == len(read(file.read_bytes(), "f").interactions) == 10
    for refused in ("vcrpy.yaml", "browser.har"):
        with pytest.raises(CassetteError, match="at most 100 are read"):
            read_file(NAMED[refused])


def test_a_compressed_body_that_expands_too_much_is_refused() -> None:
    squeezed = gzip.compress(bytes(MOST_BYTES + 1))
    with pytest.raises(CassetteError, match=r"^x: a body in gzip of more than 67,108,864 bytes"):
        plan(200, (("Content-Encoding", "gzip"),), squeezed, "x")


@pytest.mark.parametrize(("path", "message"), [("nowhere.yaml", "no such file"), ("", "is a directory")])
def test_a_file_that_cannot_be_opened(path: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CassetteError, match=message):
        read_file(tmp_path / path)


# The command


def export(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["export", *arguments])
    return result.exit_code, result.output


def test_export_writes_a_recording_in_another_format(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert export(str(NAMED["go-vcr-2.yaml"]), "--format", "vcrpy", "-o", str(out)) == (0, "")
    assert yaml_values.documents(out.read_bytes(), "x")[0]["interactions"][0]["request"]["uri"].endswith("/completions")
    assert export(str(NAMED["go-vcr-2.yaml"]), "-o", str(out)) == (0, "")
    assert out.read_bytes().startswith(b'{"fakellm":"recording","version":1}\n')


@pytest.mark.parametrize("format_", ["vcrpy", "har", "fakellm"])
def test_export_overwrites_secrets_unless_they_are_to_be_kept(format_: str, tmp_path: Path) -> None:
    archive, out = json.loads(NAMED["browser.har"].read_bytes()), tmp_path / "out"
    archive["log"]["entries"][0]["request"]["headers"] = [{"name": "authorization", "value": "Bearer sk-0123456789ab"}]
    file = tmp_path / "a.har"
    file.write_text(json.dumps(archive))
    assert export(str(file), "--format", format_, "-o", str(out)) == (0, "")
    assert b"sk-0123456789ab" not in out.read_bytes()
    assert export(str(file), "--format", format_, "-o", str(out), "--keep-secrets") == (0, "")
    assert b"sk-0123456789ab" in out.read_bytes()


def test_export_and_import_write_to_standard_output() -> None:
    done = runner().invoke(main, ["export", str(NAMED["go-vcr-2.yaml"]), "--format", "sse", "-o", "-"])
    assert (done.exit_code, done.stdout_bytes) == (0, b"".join(EVENTS))
    done = runner().invoke(main, ["import", str(NAMED["stream.sse"]), "-o", "-"])
    assert done.stdout.startswith("version: 1\nscenario: imported\nrules:\n")
    assert done.stderr.endswith("imported: 1 rule of 1 interaction: 1 by meaning\n")


def test_export_can_take_one_session(tmp_path: Path) -> None:
    file, out = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    plan = Plan(200, (), (Frame(b"{}"),))
    each = [Interaction(RecordedRequest("POST", "/v1", (), b"{}", session), plan) for session in ("", "one", "two")]
    file.write_bytes(write(Cassette("x", tuple(each)), "fakellm"))
    assert export(str(file), "--session", "two", "-o", str(out)) == (0, "")
    assert read_file(out).interactions == (each[2],)
    code, output = export(str(file), "--session", "tow", "-o", str(out))
    message = f"{file}: nothing of the session 'tow'; there are one, two; did you mean 'two'?\n"
    assert (code, output) == (2, message)


def test_the_log_of_curl_is_refused_with_the_remedy() -> None:
    log = b"*   Trying 127.0.0.1:8080...\n> POST /v1/chat/completions HTTP/1.1\n> Host: x\n>\n< HTTP/1.1 200 OK\n<\ndata: {}\n"
    with pytest.raises(
        CassetteError, match=r"the log of `curl -v`, in which nothing marks a body: save the response with `curl -i`"
    ):
        read(log, "f")


def test_export_can_take_one_interaction(tmp_path: Path) -> None:
    three, out = tmp_path / "three", tmp_path / "out.sse"
    line = NAMED["own.jsonl"].read_bytes().split(b"\n")[1] + b"\n"
    three.write_bytes(fakellm_jsonl.dumps_header() + line * 3)
    code, output = export(str(three), "--format", "sse", "-o", str(out))
    assert (code, output) == (2, f"{three}: has 3 interactions, and a raw stream is only one: select it with --only\n")
    assert export(str(three), "--format", "sse", "-o", str(out), "--only", "2") == (0, "")
    assert out.read_bytes() == b"".join(EVENTS)
    code, output = export(str(three), "--only", "4", "-o", str(out))
    assert (code, output) == (2, f"{three}: there is no interaction 4; it has 3 interactions\n")


def test_export_reports_what_it_cannot_read_or_write(tmp_path: Path) -> None:
    code, output = export(str(tmp_path / "no.yaml"), "-o", str(tmp_path / "out"))
    assert (code, output) == (2, f"{tmp_path / 'no.yaml'}: no such file or directory\n")
    code, output = export(str(NAMED["own.jsonl"]), "-o", str(tmp_path))
    assert (code, output) == (2, f"{tmp_path}: is a directory\n")


# The document

TEXT = (ROOT / "docs" / "reference" / "recordings.md").read_text(encoding="utf-8")


def test_the_table_of_formats_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|.*\| (yes|no) \| [^|]+ \|$", TEXT, re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted((*BYTES, *TREES))
    assert {name for name, is_written in rows if is_written == "yes"} == set(WRITERS)


def test_the_commands_of_the_document_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(NAMED["browser.har"], "session.har")
    commands = re.findall(r"^fakellm (export .*)$", TEXT, re.MULTILINE)
    assert commands
    for command in commands:
        assert CliRunner().invoke(main, shlex.split(command)).exit_code == 0


# The corpus

INDEX = CORPUS / "index.json"
ENTRIES: list[dict[str, Any]] = json.loads(INDEX.read_bytes())["entries"] if INDEX.exists() else []


@pytest.mark.skipif(not ENTRIES, reason=f"the recordings are not here: no {INDEX}")
@pytest.mark.parametrize("format_", sorted({entry["format"] for entry in ENTRIES}) or ["none"])
def test_every_recording_of_the_corpus_reads(format_: str) -> None:
    for entry in ENTRIES:
        if entry["format"] != format_:
            continue
        interactions = read_file(CORPUS / entry["file"]).interactions
        for exchange in entry["exchanges"]:
            response = interactions[exchange["i"]].response
            assert response.status == exchange.get("status", 200)
            assert (response.delimited == "chunked") == exchange["stream"]
            if format_ != "nock-json":  # of which the index counts a body that was formatted anew
                assert len(response.body) == exchange["body_bytes"], entry["file"]
