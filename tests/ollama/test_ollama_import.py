"""Recordings of Ollama's API become rules of meaning, which send the recorded bytes again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from fakellm.importing.importer import imported
from fakellm.model.blocks import Text
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats import read_file
from fakellm.recordings.playback import Recording, playback
from fakellm.scenarios.loader import dump, load
from fakellm.wire.plan import Frame, Plan
from tests.conftest import CORPUS
from tests.ollama.samples import sent

RECORDINGS = Path(os.environ.get("FAKELLM_CORPUS_SURFACES") or CORPUS.parent / "corpus-surfaces")


def recorded(body: str, kind: str, **fields: object) -> Cassette:
    """A recording of a chat."""
    request = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}).encode()
    plan = Plan(200, (("Content-Type", kind),), (Frame(body.encode()),))
    return Cassette("c", (Interaction(RecordedRequest("POST", "http://h:11434/api/chat", (), request), plan),))


STREAM = (
    '{"model":"m","created_at":"2024-05-30T16:25:18.99277713Z","message":{"role":"assistant","content":"Hi \\u003c"},"done":false}\n'
    '{"model":"m","created_at":"2024-05-30T16:25:19Z","message":{"role":"assistant","content":"",'
    '"tool_calls":[{"function":{"name":"f","arguments":{"b":1,"a":[]}}}]},"done":false}\r\n'
    "\n"
    '{"model":"m","created_at":"2024-05-30T16:25:20Z","message":{"role":"assistant","content":""},"done_reason":"stop",'
    '"done":true,"total_duration":5,"prompt_eval_duration":1,"eval_count":42}'
)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_stream_is_imported_by_meaning(line_end: str) -> None:
    stream = STREAM.replace("\r\n", "\n").replace("\n", line_end)
    scenario, report = imported([recorded(stream, "application/x-ndjson")])
    assert [each.outcome for each in report] == ["meaning"]
    again = load(dump(scenario))
    assert again == scenario
    assert sent(again).body.decode() == stream
    (rule,) = scenario.rules
    assert (rule.reply.blocks[0], rule.dialect, rule.patch) == (Text("Hi <"), "ollama-2024", ())
    edited = load(dump(scenario).replace("Hi <", "Hello <"))
    assert '"content":"Hello \\u003c"' in sent(edited).body.decode()


def test_a_whole_body_is_imported_by_meaning() -> None:
    body = (
        '{"model":"m","created_at":"2026-03-06T14:51:54.8Z","message":{"role":"assistant","content":"Hi"},"done":true,'
        '"done_reason":"stop","total_duration":5,"load_duration":2,"eval_count":2}\n'
    )
    scenario, report = imported([recorded(body, "application/json; charset=utf-8", stream=False)])
    assert [each.outcome for each in report] == ["meaning"]
    assert sent(load(dump(scenario)), stream=False).body.decode() == body


def test_recordings_are_imported_by_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    """Nine in ten streams, and nine in ten bodies, of those whose bytes are the server's."""
    if not (RECORDINGS / "index.json").exists():
        pytest.skip(f"the recordings are not here: no {RECORDINGS}")
    counts = {"stream": [0, 0], "body": [0, 0]}
    for entry in json.loads((RECORDINGS / "index.json").read_text())["entries"]:
        if "ollama" not in (entry.get("apis") or ()) or entry["fidelity"] not in ("wire", "body"):
            continue
        cassette = read_file(RECORDINGS / entry["file"])
        if entry["format"] == "raw-json":  # a body without its URL
            exchanges = (
                replace(each, request=replace(each.request, url="/api/chat")) for each in cassette.interactions
            )
            cassette = replace(cassette, interactions=tuple(exchanges))
        for exchange, report in zip(cassette.interactions, imported([cassette])[1], strict=True):
            if exchange.response.status != 200:
                continue
            kind = "stream" if b"\n{" in exchange.response.body else "body"
            counts[kind][0] += report.outcome == "meaning"
            counts[kind][1] += 1
    with capsys.disabled():
        print()
        for kind, (good, all_) in counts.items():
            print(f"ollama {kind:7} by meaning {good:3} of {all_:3}")
    assert all(good >= 0.9 * all_ > 0 for good, all_ in counts.values())


def test_each_line_of_a_recording_is_a_frame_of_its_own() -> None:
    (exchange,) = recorded(STREAM, "application/x-ndjson").interactions
    frames = playback(Recording("c#0", exchange, framed=False), timing=False).frames
    assert [frame.data.decode() for frame in frames] == STREAM.splitlines(keepends=True)
