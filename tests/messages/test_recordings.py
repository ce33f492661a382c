"""Public recordings of the Messages API: they are imported by meaning, and what is imported renders to their bytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakellm.apis.messages.api import MESSAGES
from fakellm.importing.importer import imported
from fakellm.model.fold import fold
from fakellm.recordings.cassette import Interaction
from fakellm.recordings.formats import read_file
from fakellm.streaming.observe import observe, renumbered
from fakellm.streaming.play import play
from fakellm.wire.sse import Decoder
from tests.conftest import CORPUS, SURFACES

FLOORS = {"stream": 1.0, "json": 0.94}
"""Which share of the recordings is imported by meaning alone: no byte of them is kept but the values that were drawn.
The bodies that are not were indented by a formatter of source code."""


def entries() -> Iterator[tuple[Path, dict[str, Any]]]:
    for folder in (SURFACES, CORPUS):
        index = folder / "index.json"
        for entry in json.loads(index.read_bytes())["entries"] if index.exists() else ():
            if any(exchange["api"] == "messages" for exchange in entry["exchanges"]):
                yield folder / entry["file"], entry


ENTRIES = list(entries())
pytestmark = pytest.mark.skipif(not ENTRIES, reason=f"the recordings are not here: no {SURFACES}")


def exchanges(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The replies in a file whose bytes are a server's."""
    return [
        each
        for each in entry["exchanges"]
        if each["api"] == "messages"
        and each.get("op", "create") == "create"
        and each.get("fidelity", entry["fidelity"]) in ("wire", "body")
        and not entry.get("edited")
    ]


def is_reply(interaction: Interaction) -> bool:
    return interaction.response.status == 200


def kind_of(interaction: Interaction) -> str:
    return "stream" if interaction.response.body.lstrip().startswith(b"event:") else "json"


def test_recordings_are_imported_by_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    total: Counter[str] = Counter()
    meant: Counter[str] = Counter()
    for path, entry in ENTRIES:
        cassette = read_file(path)
        report = imported([cassette])[1]
        for each in exchanges(entry):
            interaction = cassette.interactions[each["i"]]
            if is_reply(interaction):
                total[kind_of(interaction)] += 1
                meant[kind_of(interaction)] += report[each["i"]].outcome == "meaning"
    with capsys.disabled():
        print("".join(f"\nmessages {kind}: {meant[kind]} of {total[kind]} by meaning" for kind in FLOORS))
    assert total["stream"] >= 45
    assert total["json"] >= 115
    assert {kind for kind, floor in FLOORS.items() if meant[kind] < floor * total[kind]} == set()


def test_every_recorded_stream_plays_again() -> None:
    streams = 0
    for path, entry in ENTRIES:
        interactions = read_file(path).interactions
        for each in entry["exchanges"]:
            if each["api"] == "messages" and kind_of(interactions[each["i"]]) == "stream":
                events = Decoder().feed(interactions[each["i"]].response.body + b"\n\n")
                batches = renumbered(MESSAGES.read(events, MESSAGES.infer(events)[0]))
                completion, end = fold(batches)
                assert end is not None
                assert end.error is None
                assert completion.choices
                assert play(completion, observe(batches)) == batches
                streams += 1
    assert streams >= 60
