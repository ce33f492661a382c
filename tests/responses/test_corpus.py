"""Recorded responses: how many are imported by meaning alone, and that each stream plays again as it was recorded."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from fakellm.apis.responses.api import RESPONSES
from fakellm.engine.render import render
from fakellm.importing.importer import imported
from fakellm.model.fold import fold
from fakellm.recordings.cassette import Cassette, Interaction
from fakellm.recordings.formats import read_file
from fakellm.scenarios.loader import dump, load
from fakellm.streaming.observe import observe, renumbered
from fakellm.streaming.play import play
from fakellm.wire.sse import Decoder
from tests.conftest import CORPUS, ROOT

SURFACES = Path(os.environ.get("FAKELLM_CORPUS_SURFACES") or ROOT.parent / "shared" / "corpus-surfaces")
INDEXES = (CORPUS / "index.json", SURFACES / "index.json")
pytestmark = pytest.mark.skipif(
    not SURFACES.joinpath("index.json").exists(), reason=f"the recordings are not here: no {SURFACES / 'index.json'}"
)


class Recorded(Struct, frozen=True):
    place: str
    stream: bool
    exact: bool
    interaction: Interaction


@cache
def recorded() -> tuple[Recorded, ...]:
    """Every recorded reply of this API, those with equal bytes once. `exact`: its bytes are those that were sent."""
    found: dict[tuple[bytes, bytes], Recorded] = {}
    for each in _recorded():
        found.setdefault((each.interaction.request.body, each.interaction.response.body), each)
    return tuple(found.values())


def _recorded() -> Iterator[Recorded]:
    for index in INDEXES:
        content = json.loads(index.read_text(encoding="utf-8"))
        for entry in content["entries"]:
            numbers = [each for each in entry["exchanges"] if each.get("api") == "responses"]
            if not numbers or entry.get("edited"):
                continue
            interactions = read_file(index.parent / entry["file"]).interactions
            for each in numbers:
                interaction = interactions[each["i"]] if each["i"] < len(interactions) else None
                if interaction and each.get("op", "create") == "create" and interaction.response.status == 200:
                    stream = each.get("shape", "sse" if each.get("stream") else "json") == "sse"
                    exact = (each.get("fidelity") or entry["fidelity"]) in ("wire", "body")
                    yield Recorded(f"{entry['file']}#{each['i']}", stream, exact, interaction)


@pytest.mark.parametrize(("stream", "floor"), [(True, 0.90), (False, 0.90)], ids=["streams", "bodies"])
def test_most_recordings_are_imported_by_meaning(
    stream: bool, floor: float, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [each for each in recorded() if each.exact and each.stream == stream]
    outcomes: Counter[str] = Counter()
    for each in chosen:
        _, (report,) = imported([Cassette("x", (each.interaction,))])
        outcomes[report.outcome] += 1
    with capsys.disabled():
        print(f"\n{'streams' if stream else 'bodies'}: {len(chosen)}", dict(outcomes))
    assert outcomes["meaning"] / len(chosen) >= floor


def test_imported_rules_are_written_and_loaded() -> None:
    for each in [each for each in recorded() if each.exact][::9]:
        scenario, _ = imported([Cassette("x", (each.interaction,))])
        assert load(dump(scenario)) == scenario, each.place


def test_every_recorded_stream_plays_again() -> None:
    """Also those that their recorder wrote anew. A stream that contradicts itself has no meaning to play."""
    contradictory = []
    for each in recorded():
        if not each.stream:
            continue
        events = Decoder().feed(each.interaction.response.body)
        batches = renumbered(RESPONSES.read(events, RESPONSES.infer(events)[0]))
        completion, end = fold(batches)
        if end is not None and end.error is not None:
            contradictory.append((each.place, end.error))
        else:
            assert play(completion, observe(batches)) == batches, each.place
    assert len(contradictory) <= 3, contradictory


def test_a_body_has_the_meaning_of_its_items() -> None:
    for each in recorded():
        if not each.stream:
            body = each.interaction.response.body
            completion, _ = fold(RESPONSES.read_whole(body, RESPONSES.infer_whole(body)[0]))
            value = json.loads(body)
            calls = [item["call_id"] for item in value["output"] if item["type"] == "function_call"]
            assert [call.id for call in completion.choices[0].tool_calls if call.kind == "function"] == calls
            texts = [
                part.get("text", "")
                for item in value["output"]
                if item["type"] == "message"
                for part in item["content"]
            ]
            assert completion.choices[0].content == "".join(texts)


def test_an_imported_rule_repeats_the_request_that_it_answers() -> None:
    """What was recorded takes the place of defaults, not of what another request sets."""
    each = next(
        each for each in recorded() if each.exact and each.stream and b"instructions" in each.interaction.request.body
    )
    scenario, _ = imported([Cassette("x", (each.interaction,))])
    body = json.loads(each.interaction.request.body) | {"instructions": "Be brief", "tools": [], "temperature": 0.5}
    (rule,) = scenario.rules
    rule = msgspec.structs.replace(rule, name="x", dialect=rule.dialect or "openai")
    plan = render(rule, RESPONSES.parse(json.dumps(body).encode(), {}), 0, RESPONSES)
    first, *_, last = (
        json.loads(event.data)["response"]
        for event in Decoder().feed(plan.body)
        if "response" in json.loads(event.data)
    )
    for response in (first, last):
        assert (response["instructions"], response["tools"], response["temperature"]) == ("Be brief", [], 0.5)
