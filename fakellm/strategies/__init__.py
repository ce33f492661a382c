"""Hypothesis draws of the package's own values: completions, variations, faults, and scenarios to serve.

Builds nothing of its own: what is drawn is what YAML says and what a counterexample prints, and all of it shrinks
towards the shortest texts on the plain wire.
"""

from __future__ import annotations

from hypothesis import strategies as st

from fakellm.dialects import DIALECTS
from fakellm.scenario import Rule, Scenario, reply_of
from fakellm.strategies.completions import completions, texts
from fakellm.strategies.faults import faults
from fakellm.strategies.framings import framings, transfers
from fakellm.strategies.variations import variations

__all__ = ["completions", "faults", "framings", "streams", "texts", "transfers", "variations"]

_TEXTUAL = sorted(name for name, dialect in DIALECTS.items() if dialect.usual.reasoning != "thinking")


@st.composite
def streams(draw: st.DrawFn, dialect: str | None = None, strict_sse: bool = False) -> Scenario:
    """Scenarios of one rule that answers any request: a completion and a variation of it, in one dialect or any.

    `strict_sse`: as in `framings`, whose default is what the official OpenAI SDK reads. A dialect that sends its
    reasoning within the content is drawn only by its name: its clients read lists.

    Put one into a server with `load`, let a client read it, and compare with `scenario.rules[0].reply`. Printed with
    ``fakellm.dump`` it is a file for ``scenarios/``.
    """
    completion = draw(completions())
    rule = Rule(reply=reply_of(completion), stream=draw(variations(completion, strict_sse)))
    return Scenario(name="drawn", dialect=dialect or draw(st.sampled_from(_TEXTUAL)), rules=(rule,))
