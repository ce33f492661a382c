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
from fakellm.importing.example_request import sample
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


def previews(rule: Rule, seed: int, turn: int | None = None) -> Iterator[Preview]:
    """What a rule with a name and a dialect sends; of several attempts with the same reply, only the first."""
    request = sample(rule, turn)
    script = Script(rule)
    for number, attempt in _attempts(script, request, seed):
        one = script.at(attempt)
        try:
            reply = filled(one.reply, request, number)
            yield Preview(number, request, render(replace(one, reply=reply), request, seed))
        except ReplyError as error:
            yield Preview(number, request, error)


def recording(scenario: Scenario, seed: int) -> Cassette:
    """A recording of a scenario's rules. Raises ReplyError if a reply needs a value that no made-up request has."""
    found = []
    for rule in scenario.named_rules():
        for preview in previews(rule, seed):
            if isinstance(preview.plan, ReplyError):
                raise ReplyError(f"{rule.name}: {preview.plan}")
            body = dumps(preview.request.body).encode()
            headers = (("Content-Type", "application/json"),)
            recorded = RecordedRequest("POST", "http://127.0.0.1/v1/chat/completions", headers, body)
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
