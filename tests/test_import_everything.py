"""Whatever was recorded is imported into a scenario that loads and answers as recorded, or is reported as left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import fakellm
from fakellm.apis.gemini.api import GEMINI
from fakellm.apis.route import REPLIES, target
from fakellm.importing.importer import imported
from fakellm.importing.replies.recorded_request import route_of, served_path
from fakellm.recordings.cassette import Interaction
from fakellm.recordings.formats import read_file
from fakellm.recordings.redaction import redacted
from fakellm.scenarios.loader import dump, load
from fakellm.testing.handle import Handle
from tests.conftest import CASES, CORPUS, SURFACES
from tests.wire_reader import Received, receive

VERSION = "anthropic-version: 2023-06-01"
NOT_RECORDINGS = ("index.json", "README.md", "35-custom-tool-choice.json", "playwright-attached.har")


def recordings(root: Path) -> dict[str, list[Path]]:
    """The recordings of a collection, by the folder that they are in: the project that recorded them."""
    found: dict[str, list[Path]] = {}
    for file in sorted(root.rglob("*")) if root.is_dir() else ():
        if file.is_file() and file.name not in NOT_RECORDINGS and "__files" not in file.parts and not _is_other(file):
            folder = file.relative_to(root).parts[0] if file.parent != root else ""
            found.setdefault(f"{root.name}/{folder}", []).append(file)
    return found


def _is_other(file: Path) -> bool:
    """Whether a file is a scenario or a program, and not a recording."""
    return file.suffix == ".py" or (file.suffix == ".yaml" and b"\nrules:" in file.read_bytes())


EVERYTHING = {name: files for root in (CORPUS, SURFACES, CASES) for name, files in recordings(root).items()}


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve(strict=True) as server:
        yield server


@pytest.mark.skipif(not EVERYTHING, reason=f"the recordings are not here: no {CORPUS}, {SURFACES} or {CASES}")
@pytest.mark.parametrize("folder", sorted(EVERYTHING) or ["none"])
def test_every_recording_is_imported_and_served_as_it_was_or_reported(folder: str, server: Handle) -> None:
    for file in EVERYTHING[folder]:
        cassette = read_file(file)
        scenario, report = imported([cassette])
        assert load(dump(scenario)) == scenario
        session = server.session(file.name)
        session.load(load(dump(scenario)))
        for interaction, became in zip(cassette.interactions, report, strict=True):
            if became.outcome == "left out":
                assert became.reason
                assert refused(interaction), became
            else:
                sent = asked(session, redacted(interaction))
                plan = redacted(interaction).response
                assert (sent.status, sent.body, became) == (plan.status, plan.body, became)


def asked(session: Handle, interaction: Interaction) -> Received:
    """What the server sends to a recorded request; if it was not recorded, to an example of one for such a response."""
    request = interaction.request
    path = served_path(request) or ""
    body = request.body
    if not body:
        route = route_of(path)
        stream = interaction.response.delimited == "chunked"
        body = json.dumps(route.example() | ({} if route is GEMINI else {"stream": stream})).encode()
    return receive(session.url + path, body, VERSION)


def refused(interaction: Interaction) -> bool:
    """Whether fakellm has no route for a request, or refuses the request itself."""
    path = served_path(interaction.request)
    if path is None:
        return interaction.request.method == "GET" or target(interaction.request.url).route not in REPLIES
    with fakellm.serve() as plain:
        return receive(plain.url + path, interaction.request.body, VERSION).status in range(400, 500)
