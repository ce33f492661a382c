"""Cases for a client, drawn: an answer, and how it is said or goes wrong. Owns how often each comes.

Builds nothing of its own: what is drawn is what YAML says and what a counterexample prints. Who chooses is not its
matter, so that the fuzzer and hypothesis draw the same.
"""

from __future__ import annotations

from fakellm.fuzzing.draws.answers import answer
from fakellm.fuzzing.draws.faults import failure
from fakellm.fuzzing.draws.picks import Picks
from fakellm.fuzzing.draws.profiles import profile as profile_of
from fakellm.fuzzing.draws.variations import variation
from fakellm.scenarios.scenario import Rule, Scenario, reply_of

_RARELY = (False, False, False, True)


def scenario(picks: Picks, profile: str = "default", exclude: tuple[str, ...] = ()) -> Scenario:
    """A scenario of one rule that answers any request: an answer, and either a few steps from the plain wire or a
    fault. Raises ValueError where there is no such profile or step to leave out."""
    what = profile_of(profile, exclude)
    completion = answer(picks)
    dialect = what.dialects[0] if len(what.dialects) == 1 else picks.choice(what.dialects)
    if what.faults and (not what.families or picks.choice(_RARELY)):
        rule = Rule(reply=reply_of(completion), fault=failure(picks, completion, exclude))
    else:
        rule = Rule(reply=reply_of(completion), stream=variation(picks, completion, what))
    return Scenario(name="drawn", dialect=dialect, rules=(rule,))
