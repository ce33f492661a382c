"""Hypothesis draws of the package's own values: completions, variations, faults, and scenarios to serve.

Builds nothing of its own: what is drawn is what YAML says and what a counterexample prints, and all of it shrinks
towards the shortest texts on the plain wire.
"""

from __future__ import annotations

from hypothesis import strategies as st

from fakellm.scenario import Rule, Scenario, reply_of
from fakellm.strategies.answers import answers, draw_answer
from fakellm.strategies.completions import completions, texts
from fakellm.strategies.faults import failures, faults
from fakellm.strategies.framings import framings, transfers
from fakellm.strategies.profiles import PROFILES
from fakellm.strategies.profiles import profile as profile_of
from fakellm.strategies.variations import draw_variation, pick, variations

__all__ = [
    "PROFILES",
    "answers",
    "completions",
    "failures",
    "faults",
    "framings",
    "streams",
    "texts",
    "transfers",
    "variations",
]

_RARELY = st.sampled_from((False, False, False, True))


@st.composite
def streams(draw: st.DrawFn, profile: str = "default", exclude: tuple[str, ...] = ()) -> Scenario:
    """Scenarios of one rule that answers any request: an answer, and either a few steps from the plain wire or a fault.

    profile: one of PROFILES: `default` is what any client must read that reads what the official OpenAI SDK does;
        `strict-sse`, `contested`, `faults`, `all`, or the name of a dialect for its usual wire.
    exclude: steps to leave out, by their names or those of whole blocks: `sse.line_end`, `transfer`, `truncated`.

    Put one into a server with `load`, let a client read it, and compare with `scenario.rules[0].reply`. Printed with
    ``fakellm.dump`` it is a file for ``scenarios/``. Raises ValueError where there is no such profile or step.
    """
    what = profile_of(profile, exclude)
    completion = draw_answer(draw)
    dialect = what.dialects[0] if len(what.dialects) == 1 else pick(draw, what.dialects)
    if what.faults and (not what.families or draw(_RARELY)):
        fault = draw(failures(completion, exclude))
        return Scenario(name="drawn", dialect=dialect, rules=(Rule(reply=reply_of(completion), fault=fault),))
    rule = Rule(reply=reply_of(completion), stream=draw_variation(draw, completion, profile, exclude))
    return Scenario(name="drawn", dialect=dialect, rules=(rule,))
