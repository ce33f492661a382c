"""Public recordings of the Gemini API are imported by meaning, and come back byte for byte."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from fakellm.apis.gemini.api import GEMINI
from fakellm.apis.gemini.habits import AI_STUDIO, habits_of
from fakellm.apis.variation import PLAIN
from fakellm.importing.importer import imported
from fakellm.model.fold import fold
from fakellm.recordings.cassette import Cassette, Interaction
from fakellm.recordings.formats import read_file
from fakellm.scenarios.loader import dump, load
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.streaming.observe import observe, renumbered
from fakellm.streaming.play import play
from fakellm.wire.kinds import ARRAY, SSE
from tests.conftest import SURFACES, respond

INDEX = SURFACES / "index.json"
ENTRIES: list[dict[str, Any]] = [
    entry
    for entry in (json.loads(INDEX.read_bytes())["entries"] if INDEX.exists() else [])
    if "gemini" in entry["apis"]
]
pytestmark = pytest.mark.skipif(not ENTRIES, reason=f"the recordings are not here: no {INDEX}")

REPLIES = ("generateContent", "streamGenerateContent")
HABITS = habits_of(AI_STUDIO.usual.over(PLAIN), AI_STUDIO)


def exchanges() -> Iterator[tuple[str, dict[str, Any], Interaction, bool]]:
    """Each reply: its file, what the index states, the interaction, and whether it is as the provider sent it."""
    for entry in ENTRIES:
        cassette = read_file(SURFACES / entry["file"])
        for each in entry["exchanges"]:
            faithful = each.get("fidelity", entry["fidelity"]) in ("wire", "body") and not entry.get("edited")
            if each["api"] == "gemini" and each["op"] in REPLIES and each.get("status", 200) == 200:
                yield entry["file"], each, cassette.interactions[each["i"]], faithful


def test_replies_are_imported_by_meaning() -> None:
    found: Counter[tuple[str, str]] = Counter()
    for file, each, interaction, faithful in exchanges():
        scenario, (became,) = imported([Cassette(file, (interaction,))])
        assert load(dump(scenario)) == scenario
        kind = each["shape"] + ("" if faithful else ", edited or rewritten")
        found[kind, became.outcome] += 1
        if became.outcome != "meaning":
            print(f"{kind:28} {became.outcome:8} {became.frames}/{became.total} {file} {became.reason}")
    for kind in sorted({kind for kind, _ in found}):
        row = {outcome: number for (name, outcome), number in found.items() if name == kind}
        print(f"{kind:28} {row}")
    assert found["json", "meaning"] >= 34
    assert found["array", "meaning"] >= 13
    assert found["sse", "meaning"] >= 27


def test_recorded_streams_play_again() -> None:
    streams = [(file, each["shape"], interaction) for file, each, interaction, _ in exchanges() if each["stream"]]
    assert len(streams) >= 55
    for file, shape, interaction in streams:
        events = (ARRAY if shape == "array" else SSE).events(interaction.response.body)
        habits, _ = GEMINI.infer(events)
        for known in (habits, HABITS):
            batches = renumbered(GEMINI.read(events, known))
            assert play(fold(batches)[0], observe(batches)) == batches, file


def test_streamed_arguments_are_read() -> None:
    calls = [
        (call.name, call.arguments)
        for file, each, interaction, _ in exchanges()
        if "no-args-tool-call" in file
        for call in fold(GEMINI.read(SSE.events(interaction.response.body), HABITS))[0].choices[0].tool_calls
    ]
    assert calls == [
        ("read_theme", "{}"),
        *(("read_screen", json.dumps({"id": each}).replace(" ", "")) for each in "ABC"),
    ]


def test_an_imported_cassette_answers_its_requests_as_recorded() -> None:
    """All its interactions together, through the server."""
    same: Counter[bool] = Counter()
    for entry in ENTRIES:
        cassette = read_file(SURFACES / entry["file"])
        app = App(load(dump(imported([cassette])[0])), strict=True)
        for each in entry["exchanges"]:
            interaction = cassette.interactions[each["i"]]
            request, response = interaction.request, interaction.response
            if each["api"] == "gemini" and each["op"] in REPLIES and response.status == 200 and request.body:
                url = urlsplit(request.url)
                target = f"{url.path}?{url.query}" if url.query else url.path
                sent = respond(app, HttpRequest("POST", target, request.body)).plan.body
                same[sent == response.body] += 1
    assert same[True] >= 81
    assert not same[False]
