"""Whatever was recorded is imported into a scenario that loads and answers as recorded, or is reported as left out.

Each recording is imported once. Which replies are not imported by meaning is in `not_by_meaning.txt`, of which
docs/reference/recordings.md has the numbers.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import fakellm
from fakellm.apis import route as routes
from fakellm.apis.gemini.api import GEMINI
from fakellm.importing.importer import Imported, imported
from fakellm.importing.replies.patched_texts import in_reply_and_patch
from fakellm.importing.replies.recorded_request import route_of, served_path
from fakellm.recordings.cassette import Interaction
from fakellm.recordings.formats import read_file
from fakellm.recordings.redaction import redacted
from fakellm.scenarios.loader import dump, load
from fakellm.testing.handle import Handle
from tests.conftest import CASES, CORPUS, ROOT, SURFACES
from tests.recorded_replies import OF_CHAT, OF_OTHERS, REPLIES, RecordedReply
from tests.wire_reader import Received, receive

VERSION = "anthropic-version: 2023-06-01"
NOT_RECORDINGS = ("index.json", "README.md", "35-custom-tool-choice.json", "playwright-attached.har")
NOT_BY_MEANING = dict(
    line.split(" ", 1) for line in (ROOT / "tests" / "not_by_meaning.txt").read_text(encoding="utf-8").splitlines()
)
"""The outcome of each reply that is not imported by meaning, by its place."""


IN_FILE: dict[Path, list[RecordedReply]] = {}
for _reply in REPLIES:
    IN_FILE.setdefault(_reply.file, []).append(_reply)


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
    outcomes: dict[str, str] = {}
    for file in EVERYTHING[folder]:
        cassette = read_file(file)
        scenario, report = imported([cassette])
        loaded = load(dump(scenario))
        assert loaded == scenario
        session = server.session(file.name)
        session.load(loaded)
        for interaction, became in zip(cassette.interactions, report, strict=True):
            check(session, interaction, became)
        session.reset()
        outcomes |= {each.place: report[each.number - 1].outcome for each in IN_FILE.get(file, ())}
        assert not [found for rule in scenario.named_rules() for found in in_reply_and_patch(rule)], file
    listed = {place: outcome for place, outcome in NOT_BY_MEANING.items() if place in outcomes}
    assert {place: outcome for place, outcome in outcomes.items() if outcome != "meaning"} == listed


def check(session: Handle, interaction: Interaction, became: Imported) -> None:
    """Checks that a session answers as recorded, or that there is a reason why not."""
    if became.outcome == "left out":
        assert became.reason
        assert refused(interaction), became
        return
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
        example = {key: value for key, value in route.example().items() if key != "stream_options"}
        body = json.dumps(example | ({} if route is GEMINI else {"stream": stream})).encode()
    return receive(session.url + path, body, VERSION)


def refused(interaction: Interaction) -> bool:
    """Whether fakellm has no route for a request, or refuses the request itself."""
    path = served_path(interaction.request)
    if path is None:
        return interaction.request.method == "GET" or routes.target(interaction.request.url).route not in routes.REPLIES
    with fakellm.serve() as plain:
        return receive(plain.url + path, interaction.request.body, VERSION).status in range(400, 500)


# The numbers in the documentation

TEXT = (ROOT / "docs" / "reference" / "recordings.md").read_text(encoding="utf-8")
TEXT = TEXT[TEXT.index("### How much is imported") : TEXT.index("## Record\n")]
_ALL = re.compile(r"([a-z0-9-]+)\s(\d+)/(\d+)[,.]")
_ROW = re.compile(r"^\| ([a-z-]+) \| (\d+ of \d+|none) \| (\d+ of \d+|none) \|", re.MULTILINE)
_ROW_OF_API = re.compile(r"^\| ([a-z]+) \| ([a-z-]+) \| (\d+ of \d+|none) \| (\d+ of \d+|none) \|", re.MULTILINE)

Shares = tuple[str, str]
"""How many streams and how many bodies are imported by meaning, as the documentation has it."""


def shares(found: list[RecordedReply]) -> Shares:
    def share(stream: bool) -> str:
        places = [
            each.place for each in found if each.stream == stream and NOT_BY_MEANING.get(each.place) != "left out"
        ]
        by_meaning = sum(place not in NOT_BY_MEANING for place in places)
        return f"{by_meaning} of {len(places)}" if places else "none"

    return share(True), share(False)


@pytest.mark.skipif(not OF_CHAT, reason=f"the recordings are not here: no {CORPUS / 'index.json'}")
def test_the_documentation_has_the_numbers_of_chat() -> None:
    of: dict[str, list[RecordedReply]] = {}
    for each in OF_CHAT:
        if each.exact:
            of.setdefault(each.provider, []).append(each)
    rows = {name: (streams, bodies) for name, streams, bodies in _ROW.findall(TEXT)}
    assert rows == {name: shares(found) for name, found in of.items() if any(e.place in NOT_BY_MEANING for e in found)}
    counts = {name: Counter(each.stream for each in found) for name, found in of.items() if name not in rows}
    assert {name: (int(streams), int(bodies)) for name, streams, bodies in _ALL.findall(TEXT)} == {
        name: (count[True], count[False]) for name, count in counts.items()
    }
    for exact, sentence in (
        (True, r"Of (?P<s>\d+) streams and (?P<b>\d+) whole bodies .*?, (\d+) streams and (\d+) bodies are"),
        (
            False,
            r"Another (?P<s>\d+) streams, .*? all imported as well, (\d+) of them .*? Of\s(?P<b>\d+) such bodies, (\d+) are",
        ),
    ):
        found = re.search(sentence, TEXT, re.DOTALL)
        assert found
        made = f"{found[3 if exact else 2]} of {found['s']}", f"{found[4]} of {found['b']}"
        assert made == shares([each for each in OF_CHAT if each.exact == exact])


@pytest.mark.skipif(not OF_OTHERS, reason=f"the recordings are not here: no {SURFACES / 'index.json'}")
def test_the_documentation_has_the_numbers_of_the_other_apis() -> None:
    of: dict[tuple[str, str], list[RecordedReply]] = {}
    for each in OF_OTHERS:
        if each.exact:
            of.setdefault((each.api, each.provider), []).append(each)
    rows = {(api, name): (streams, bodies) for api, name, streams, bodies in _ROW_OF_API.findall(TEXT)}
    assert rows == {key: shares(found) for key, found in of.items()}
