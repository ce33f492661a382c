"""The application that answers with recordings unchanged. Owns which recording answers, and how often.

`recordings.playback` makes what is sent; `recordings.request_identity` decides which requests are the same. Knows no
rules, sockets or files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from heapq import nsmallest
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from fakellm.base.errors import RequestError
from fakellm.engine.entry import Entry
from fakellm.engine.response import Outcome, Relay, Response, Work, refusal, respond
from fakellm.engine.state import Limits, MemorySession, MemoryState, Session
from fakellm.model.request import Request
from fakellm.recordings import request_identity
from fakellm.recordings.cassette import Cassette, Headers, RecordedRequest
from fakellm.recordings.playback import Recording, playback
from fakellm.recordings.redaction import covering, outer_secrets, redacted_request
from fakellm.recordings.request_identity import Ignored, Key
from fakellm.scenarios.matching import When
from fakellm.server.application import CONTROL, HttpRequest, dispatch, journaled, refused
from fakellm.server.control.changes import Changes
from fakellm.server.control.metrics import Held
from fakellm.server.control.server_routes import SERVER
from fakellm.server.offload import in_thread
from fakellm.server.one_request.routes import REQUESTS
from fakellm.server.processes.elsewhere import MOST_BODY
from fakellm.server.sending.lateness import Lateness
from fakellm.server.sending.traffic import Traffic

_ROUTES = {**REQUESTS, **SERVER, **CONTROL}

Again = Literal["repeat", "fail"]


class Recordings:
    """All interactions to answer with, by request, but none with a status below 200; `whole`: without those that broke
    off."""

    def __init__(self, cassettes: Sequence[Cassette], ignored: Ignored, whole: bool) -> None:
        self.names = [cassette.name for cassette in cassettes]
        self.all: list[Recording] = []
        self.long = False
        """Whether one of them has a request with a long body."""
        self._ignored = ignored
        self._whole = whole
        self._by_key: defaultdict[Key, list[Recording]] = defaultdict(list)
        self._sketches: list[tuple[str, str, int]] = []  # for each: the method, the API and the sketch of its body
        for cassette in cassettes:
            for number, interaction in cassette.numbered():
                self.add(Recording(f"{cassette.name}#{number}", interaction, cassette.framed))

    def add(self, recording: Recording) -> None:
        """Adds a recording after all others."""
        response = recording.interaction.response
        if self._whole and response.end != "complete":
            return
        if response.status is not None and response.status < 200:  # it ends no request: a client would wait for ever
            return
        key, sketch = request_identity.key_and_sketch(recording.interaction.request, self._ignored)
        self.long = self.long or len(recording.interaction.request.body) > MOST_BODY
        self.all.append(recording)
        self._by_key[key].append(recording)
        self._sketches.append((key.method, key.api, sketch))

    def find(self, requested: RecordedRequest) -> tuple[Key, list[Recording]]:
        """The recordings of a request, in order, and the key they share. In a recording the secrets of the request are
        overwritten. One without a body matches any body, and one without a request any model."""
        if not self.all:
            return Key(requested.method, "", None), []
        key = request_identity.key(requested, self._ignored)
        if key not in self._by_key and (plain := redacted_request(requested)).body != requested.body:
            key = request_identity.key(plain, self._ignored)
        if key not in self._by_key:
            key = next((each for each in request_identity.unknown(key) if each in self._by_key), key)
        return key, self._by_key.get(key, [])

    def nearest(self, requested: RecordedRequest) -> str:
        """The recording that differs least from a request that none answers, and how it differs."""
        if not self.all:
            return "There are no recordings."
        found = [
            (request_identity.differences(each.interaction.request, requested, self._ignored), each)
            for each in self._likely(requested)
        ]
        differences, recording = min(found, key=lambda pair: _distance(pair[0]))
        return f"The nearest is {recording.label}; it differs in {request_identity.summary(differences)}."

    def _likely(self, requested: RecordedRequest) -> list[Recording]:
        """The recordings that may be the nearest, in order: those whose sketches have most in common with the
        request's. To compare every body with it would take seconds for a few thousand."""
        key, sketch = request_identity.key_and_sketch(requested, self._ignored)

        def distance(number: int) -> tuple[int, int, int]:
            method, api, other = self._sketches[number]
            return (method != key.method) + (api != key.api), (sketch ^ other).bit_count(), number

        return [self.all[number] for number in sorted(nsmallest(_COMPARED, range(len(self.all)), key=distance))]


_COMPARED = 10
"""How many recordings are compared with a request that none answers."""


class Found(Struct, frozen=True):
    """What a search for the recordings of a request found: their key, and if there is none, the nearest."""

    key: Key
    recordings: list[Recording]
    nearest: str = ""


class Replay:
    """The application. Every session starts with all recordings.

    ignore: places in JSON bodies to ignore, such as ``metadata.run_id``.
    again: the answer to a request after all its recordings have been served: the last one again, or a refusal.
    timing: whether frames wait as long as recorded.
    relay: whether a request that no recording answers goes to the upstream server instead of being refused. Then only
        complete recordings answer.

    Raises ValueError if `ignore` is not valid.
    """

    def __init__(
        self,
        cassettes: Sequence[Cassette],
        *,
        ignore: Sequence[str] = (),
        again: Again = "repeat",
        timing: bool = False,
        relay: bool = False,
        limits: Limits = Limits(),  # noqa: B008 # it is frozen
    ) -> None:
        self.lateness = Lateness()
        self.changes = Changes()
        self.traffic = Traffic()
        self.scheme = "http"
        self.recordings = Recordings(cassettes, Ignored(tuple(ignore)), relay)
        self._state: MemoryState[Recordings] = MemoryState(limits)
        self._again = again
        self._timing = timing
        self._relay = relay

    def handle(self, request: HttpRequest) -> tuple[Outcome, Entry]:
        long = len(request.body) > MOST_BODY or self.recordings.long
        if long and not (self._relay or request.target.control):
            return self._search_elsewhere(request)
        try:
            outcome = dispatch(self, _ROUTES, request) if request.target.control else self._answer(request)
        except RequestError as error:
            return self.refuse(request, error)
        entry = self._journaled(request, outcome)
        if isinstance(outcome, Relay):
            entry.rule = "upstream"
        return outcome, entry

    def prepare(self, request: HttpRequest) -> None:
        """Nothing has to be awaited."""

    def refuse(self, request: HttpRequest, error: RequestError, entry: Entry | None = None) -> tuple[Response, Entry]:
        response = refused(request, error, 0)
        return response, self._journaled(request, response, entry)

    def _journaled(self, request: HttpRequest, outcome: Outcome, entry: Entry | None = None) -> Entry:
        """The entry of a request. Behind a recorder, the keys of its headers are real: it shows them nowhere."""
        if not self._relay:
            return journaled(self, request, outcome, entry)
        secrets = outer_secrets(_pairs(request), request.path)
        shown = redacted_request(RecordedRequest(request.method, request.path, _pairs(request), b"")).url
        return journaled(self, replace(request, path=shown), outcome, entry, secrets)

    def parsed(self, request: HttpRequest) -> Request:
        headers = {name.lower(): value for name, value in request.headers.items()}
        return request.target.api.parse(request.body, headers, request.target.url)

    def rules(self, name: str) -> Sequence[tuple[str, When | None]]:
        return [(each.label, None) for each in self.session(name).content.all]

    def session(self, name: str) -> MemorySession[Recordings]:
        return self._state.open(name, self.recordings)

    def find(self, name: str) -> Session[Recordings] | None:
        return self._state.find(name)

    def sessions(self) -> Mapping[str, Session[Recordings]]:
        return self._state.sessions()

    def forget(self, name: str) -> None:
        self._state.forget(name)

    def held(self) -> Held:
        return self._state.held()

    def served(self, name: str) -> dict[str, Any]:
        return {"scenario": None, "rules": len(self.recordings.all), "strict": not self._relay}

    def health(self, name: str) -> dict[str, Any]:
        return {"recordings": self.recordings.names, "interactions": len(self.recordings.all)}

    def _answer(self, request: HttpRequest) -> Response | Relay:
        return self._found(request, self._search(request))

    def _search(self, request: HttpRequest) -> Found:
        requested = RecordedRequest(request.method, request.target.path, _pairs(request), request.body)
        key, found = self.recordings.find(requested)
        if found or self._relay:
            return Found(key, found)
        return Found(key, found, covering(requested)(self.recordings.nearest(requested)))

    def _search_elsewhere(self, request: HttpRequest) -> tuple[Work, Entry]:
        """The work of answering a request in a thread: to read and compare long bodies would hold up others."""

        def then(result: Callable[[], Any]) -> Response:
            response = self._found(request, result())
            assert isinstance(response, Response)
            return response

        async def run() -> Found:
            return (await in_thread(partial(self._search, request)))()  # type: ignore[no-any-return] # Result is of any type

        work = Work(run, then)
        return work, self._journaled(request, work)

    def _found(self, request: HttpRequest, result: Found) -> Response | Relay:
        key, found = result.key, result.recordings
        if not found:
            if self._relay:
                return Relay()
            message = f"No recording answers this request. {result.nearest}"
            return _unmatched(request, RequestError(404, message, "no_matching_recording"))
        session = self.session(request.target.session)
        number, forgotten = session.count(key)
        if number > len(found) and self._again == "fail":
            labels = ", ".join(recording.label for recording in found)
            message = f"Each recording of this request has been served: {labels}. --again repeat serves the last again."
            return _unmatched(request, RequestError(404, message, "recordings_served"))
        recording = found[min(number, len(found)) - 1]
        return respond(playback(recording, self._timing), rule=recording.label, attempts_forgotten=forgotten)


def _pairs(request: HttpRequest) -> Headers:
    return tuple((str(name), value) for name, value in request.headers.items())


def _unmatched(request: HttpRequest, error: RequestError) -> Response:
    return replace(refusal(error, 0, route=request.target.api, url=request.target.url), matched=False)


def _distance(differences: Sequence[tuple[str, str]]) -> tuple[int, int]:
    """How much a recording differs from a request: another method or path counts more than any body."""
    return sum(place in ("method", "path") for place, _ in differences), len(differences)
