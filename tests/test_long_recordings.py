"""Long bodies hold up no one: in a replay, behind a recorder, and when the journal that has them is read."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

import fakellm
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats import read_file
from fakellm.recordings.recording_file import RecordingFile
from fakellm.server.hosting import Hosted
from fakellm.server.recording_proxy import Recorder
from fakellm.server.replay_app import Replay
from fakellm.server.scenario_app import App
from fakellm.wire.plan import Frame, Plan
from tests.conftest import chat, post
from tests.loop_turns import loop_turns, measured

pytestmark = measured

CHAT = "/v1/chat/completions"
MOST = 0.05
"""Seconds of the event loop's own work for a body of some megabytes: much of it is what HTTP itself takes."""

LONG = chat(user=json.dumps({"arguments": "some words, and more " * 50_000}))
RECORDED = Cassette(
    "tape",
    (
        Interaction(RecordedRequest("POST", CHAT, (), LONG), Plan(200, (), (Frame(b"found"),))),
        Interaction(RecordedRequest("POST", CHAT, (), chat(user="a")), Plan(200, (), (Frame(b"short"),))),
    ),
)


@pytest.fixture(autouse=True)
def no_garbage() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize(
    ("body", "status"), [(LONG, 200), (LONG[:-2] + b'!"}', 404), (chat(user="a"), 200), (chat(user="b"), 404)]
)
def test_a_replay_compares_long_bodies_beside_others(body: bytes, status: int) -> None:
    with Hosted(Replay([RECORDED])) as hosted:
        post(hosted.url + CHAT, chat(user="warm"))
        with loop_turns(hosted.loop) as turns:
            assert post(hosted.url + CHAT, body).status_code == status
    turns.check(MOST)


def test_a_journal_with_long_bodies_is_shown_beside_others() -> None:
    with Hosted(App()) as hosted:
        for number in range(3):
            post(f"{hosted.url}{CHAT}?key=secret-{number}", LONG)
        for number in range(30):
            post(f"{hosted.url}{CHAT}", chat(user=f"key=a-secret-{number}", password="a" * 20_000))
        with loop_turns(hosted.loop) as turns:
            view = httpx2.get(f"{hosted.url}/_fakellm/journal", timeout=60).json()
    assert len(view["entries"]) == 33
    assert view["entries"][-1]["request"]["password"].startswith("REDACTED")
    turns.check(MOST)


def test_a_recorder_records_long_bodies_beside_others(tmp_path: Path) -> None:
    file = tmp_path / "recorded.jsonl"
    rules = {"rules": [{"reply": {"content": "some words, and more " * 10_000}}]}
    with fakellm.serve(rules) as upstream:
        recording = RecordingFile(file)
        app = Replay([], relay=True)
        with Hosted(app, proxy=lambda: Recorder(upstream.url, recording)) as hosted:
            post(hosted.url + CHAT, chat())
            with loop_turns(hosted.loop) as turns:
                for stream in (False, True):
                    post(hosted.url + CHAT, LONG[:-1] + (b', "stream": true}' if stream else b"}"))
                post(hosted.url + CHAT, chat(), Authorization="Bearer a-secret-key-1")
    turns.check(MOST)
    assert len(read_file(file).interactions) == 4
