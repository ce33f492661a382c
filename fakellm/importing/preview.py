"""What a rule would send to a made-up request, attempt by attempt: to be printed, or exported as a recording."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from fakellm.base.errors import ReplyError
from fakellm.base.json_text import dumps
from fakellm.engine.render import render
from fakellm.engine.resolve import filled
from fakellm.engine.ruleset import Attempt, Script
from fakellm.importing.example_request import api_of, path_of, sample
from fakellm.model.request import Request
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.wire.plan import Plan

_MOST_ATTEMPTS = 100


class Preview(Struct, frozen=True):
    """One attempt: its number, the request, and what is sent, or why no reply can be made for the made-up request."""

    attempt: int
    request: Request
    plan: Plan | ReplyError


def previews(rule: Rule, seed: int, turn: int | None = None, api: str | None = None) -> Iterator[Preview]:
    """What a rule with a name and a dialect sends; of several attempts with the same reply, only the first. `api`: the
    API of the request if the rule answers any; by default chat."""
    request, route = sample(rule, turn, api), api_of(rule, api)
    script = Script(rule)
    for number, attempt in _attempts(script, request, seed):
        one = script.at(attempt)
        try:
            reply = filled(one.reply, request, number)
            yield Preview(number, request, render(replace(one, reply=reply), request, seed, route))
        except ReplyError as error:
            yield Preview(number, request, error)


def answers(rule: Rule, api: str | None) -> bool:
    """Whether a rule answers requests of the API of this name; None stands for any."""
    return api is None or rule.when.api in (None, api)


def recording(scenario: Scenario, seed: int, api: str | None = None) -> Cassette:
    """A recording of a scenario's rules, for requests of the API of this name if they answer any. Raises ReplyError if
    a reply needs a value that no made-up request has."""
    found = []
    for rule in (rule for rule in scenario.named_rules() if answers(rule, api)):
        for preview in previews(rule, seed, api=api):
            if isinstance(preview.plan, ReplyError):
                raise ReplyError(f"{rule.name}: {preview.plan}")
            body = dumps(preview.request.body).encode()
            headers = (("Content-Type", "application/json"),)
            path = path_of(api_of(rule, api), preview.request.model, preview.request.stream)
            recorded = RecordedRequest("POST", f"http://127.0.0.1{path}", headers, body)
            found.append(Interaction(recorded, preview.plan))
    return Cassette(scenario.name, tuple(found))


def _attempts(script: Script, request: Request, seed: int) -> Iterator[tuple[int, Attempt]]:
    """The attempts with different replies, each with its number."""
    stream = request.stream
    most = script.length(stream) if script.counts(stream) else 1
    known = set()
    for number in range(1, min(most, _MOST_ATTEMPTS) + 1):
        attempt = script.attempt(number, stream, seed, request.digest)
        if attempt and attempt not in known:
            known.add(attempt)
            yield number, attempt
