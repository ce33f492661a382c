"""Draws cases for a client: an answer, and how it is sent or goes wrong. Owns how often each is drawn.

A case is an ordinary rule, so it can be written in YAML, and a report prints it as such. This package does not know
who chooses (see `picks`), so the fuzzer and hypothesis draw the same cases.
"""

from __future__ import annotations

from fakellm.apis.route import CHAT, Route
from fakellm.fuzzing.draws.answers import answer
from fakellm.fuzzing.draws.answers import reply as reply_to
from fakellm.fuzzing.draws.characters import characters_of, without
from fakellm.fuzzing.draws.faults import failure
from fakellm.fuzzing.draws.own_answers import own_answers
from fakellm.fuzzing.draws.picks import Picks
from fakellm.fuzzing.draws.profiles import DEFAULT
from fakellm.fuzzing.draws.profiles import profile as profile_of
from fakellm.fuzzing.draws.variations import variation
from fakellm.fuzzing.endpoints import keeps_order
from fakellm.scenarios.scenario import Rule, Scenario

_RARELY = (False, False, False, True)


def scenario(picks: Picks, profile: str = DEFAULT, exclude: tuple[str, ...] = (), api: Route = CHAT) -> Scenario:
    """A scenario with one rule that answers any request to an API: an answer, and either a few steps away from the
    plain wire or a fault. Raises ValueError if the profile or an excluded step does not exist."""
    drawn = profile_of(profile, exclude, api)
    completion = answer(picks, keeps_order(api), own_answers(api))
    reply = without(reply_to(completion), characters_of(exclude))
    dialect = drawn.dialects[0] if len(drawn.dialects) == 1 else picks.choice(drawn.dialects)
    if drawn.faults and (not drawn.families or picks.choice(_RARELY)):
        rule = Rule(reply=reply, fault=failure(picks, completion, exclude))
    else:
        rule = Rule(reply=reply, stream=variation(picks, completion, drawn))
    return Scenario(name="drawn", dialect=dialect or "openai", rules=(rule,))
