"""The application that answers with recordings, as they are. Owns which recording answers, and how often.

What is sent is in `reproduce`, what makes a request the same in `sameness`. Knows no rules, no sockets and no files.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from fakellm.base.errors import RequestError
from fakellm.engine.engine import Answer, refusal
from fakellm.engine.journal import Entry, Journal
from fakellm.recordings import request_identity
from fakellm.recordings.cassette import Cassette, RecordedRequest
from fakellm.recordings.playback import Recording, playback
from fakellm.recordings.request_identity import Ignored, Key
from fakellm.server.application import CONTROL, Call, address, handler, is_control, recorded
from fakellm.wire.http1 import bursts
from fakellm.wire.plan import Plan

Again = Literal["repeat", "fail"]


class Recordings:
    """All interactions to answer with, by what they answer to; `whole`: but for those that broke off."""

    def __init__(self, cassettes: Sequence[Cassette], ignored: Ignored, whole: bool) -> None:
        self.names = [cassette.name for cassette in cassettes]
        self.all: list[Recording] = []
        self._ignored = ignored
        self._whole = whole
        self._by_key: defaultdict[Key, list[Recording]] = defaultdict(list)
        for cassette in cassettes:
            for number, interaction in enumerate(cassette.interactions, 1):
                self.add(Recording(f"{cassette.name}#{number}", interaction, cassette.framed))

    def add(self, recording: Recording) -> None:
        """One more, after all others."""
        if self._whole and recording.interaction.response.end != "complete":
            return
        self.all.append(recording)
        self._by_key[request_identity.key(recording.interaction.request, self._ignored)].append(recording)

    def find(self, asked: RecordedRequest) -> tuple[Key, list[Recording]]:
        """The recordings of a request, in order, and the key they share. One without a body is that of any request."""
        wanted = request_identity.key(asked, self._ignored)
        found = self._by_key.get(wanted)
        if not found:
            wanted = replace(wanted, body=None)
            found = self._by_key.get(wanted, [])
        return wanted, found

    def nearest(self, asked: RecordedRequest) -> str:
        """The recording that differs least from a request which none answers, and in what."""
        if not self.all:
            return "There are no recordings."
        found = [
            (request_identity.differences(each.interaction.request, asked, self._ignored), each) for each in self.all
        ]
        differences, recording = min(found, key=lambda pair: _distance(pair[0]))
        return f"The nearest is {recording.label}; it differs in {request_identity.summary(differences)}."


class Player:
    """One session: which recordings have answered in it, and its journal."""

    def __init__(self, recordings: Recordings, again: Again) -> None:
        self.journal = Journal()
        self._recordings = recordings
        self._again = again
        self._served: Counter[Key] = Counter()

    def health(self) -> dict[str, Any]:
        """What it serves: the files, and how many interactions they hold."""
        return {"recordings": self._recordings.names, "interactions": len(self._recordings.all)}

    def next(self, asked: RecordedRequest) -> Recording:
        """The recording that answers a request now. Raises RequestError, which names the nearest, where none does."""
        key, found = self._recordings.find(asked)
        if not found:
            message = f"No recording answers this request. {self._recordings.nearest(asked)}"
            raise RequestError(404, message, "no_matching_recording")
        served = self._served[key]
        if served >= len(found) and self._again == "fail":
            labels = ", ".join(recording.label for recording in found)
            message = f"Each recording of this request has been served: {labels}. --again repeat serves the last again."
            raise RequestError(404, message, "recordings_served")
        self._served[key] += 1
        return found[min(served, len(found) - 1)]


class Replay:
    """The application. Each session is served every recording anew.

    ignore: places in JSON bodies that do not count, as ``metadata.run_id``.
    again: what a request gets once each of its recordings has been served: the last one again, or a refusal.
    timing: whether frames wait as long as they did.
    relay: whether what no recording answers is a matter for the server behind this one, and no error. Then only what
        was recorded whole answers.

    Raises ValueError where `ignore` cannot be read.
    """

    def __init__(
        self,
        cassettes: Sequence[Cassette],
        *,
        ignore: Sequence[str] = (),
        again: Again = "repeat",
        timing: bool = False,
        relay: bool = False,
    ) -> None:
        self.sessions: dict[str, Player] = {}
        self.recordings = Recordings(cassettes, Ignored(tuple(ignore)), relay)
        self._again = again
        self._timing = timing
        self._relay = relay

    def handle(self, call: Call) -> tuple[Answer, Entry]:
        name, route = address(call.path)
        try:
            answer = handler(CONTROL, call)(self, name, call) if is_control(route) else self._answer(name, call)
        except RequestError as error:
            return self.refuse(call, error)
        return recorded(self, call, answer)

    def refuse(self, call: Call, error: RequestError) -> tuple[Answer, Entry]:
        return recorded(self, call, refusal(error, 0, call.body))

    def session(self, name: str) -> Player:
        if name not in self.sessions:
            self.sessions[name] = Player(self.recordings, self._again)
        return self.sessions[name]

    def forget(self, name: str) -> None:
        self.sessions.pop(name, None)

    def _answer(self, name: str, call: Call) -> Answer:
        asked = RecordedRequest(call.method, address(call.path)[1], (), call.body)
        said = _said(call.body)
        if self._relay and not self.recordings.find(asked)[1]:
            return Answer(Plan(None, (), ()), (), said, "upstream", relay=True)
        try:
            recording = self.session(name).next(asked)
        except RequestError as error:
            return replace(refusal(error, 0), request=said, matched=False)
        plan = playback(recording, self._timing)
        return Answer(plan, bursts(plan), said, recording.label)


def _distance(differences: Sequence[tuple[str, str]]) -> tuple[int, int]:
    """How far off a recording is: another method or path counts more than any body."""
    return sum(place in ("method", "path") for place, _ in differences), len(differences)


def _said(body: bytes) -> Any:
    """The body for the journal: its JSON value, its text where it is none, None where there is nothing."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "backslashreplace") or None
