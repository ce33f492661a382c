"""Hypothesis strategies for the package's own values: completions, variations, faults, and scenarios to serve.

They draw the same cases as the fuzzer. What is drawn can be written in YAML, a counterexample prints it as such, and
everything shrinks towards the shortest texts on the plain wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st

from fakellm.apis.variation import Variation
from fakellm.faults import Fault
from fakellm.fuzzing import draws
from fakellm.fuzzing.draws.answers import answer
from fakellm.fuzzing.draws.faults import fault
from fakellm.fuzzing.draws.own_answers import own_answers
from fakellm.fuzzing.draws.profiles import DEFAULT, PROFILES
from fakellm.fuzzing.draws.profiles import profile as profile_of
from fakellm.fuzzing.draws.variations import variation
from fakellm.fuzzing.endpoints import fuzzed_api, keeps_order
from fakellm.fuzzing.strategies.completions import completions, texts
from fakellm.fuzzing.strategies.framings import framings, transfers
from fakellm.model.blocks import Completion
from fakellm.scenarios.scenario import Scenario

__all__ = [
    "PROFILES",
    "answers",
    "completions",
    "faults",
    "framings",
    "streams",
    "texts",
    "transfers",
    "variations",
]

T = TypeVar("T")


class _Drawn:
    """Choices that hypothesis makes and shrinks as those of one `Random`.

    If each were a draw of its own, hypothesis would copy some over others and repeat itself: a hundred examples of
    `streams("all")` then had 31 different steps and faults, instead of 74.
    """

    def __init__(self, draw: st.DrawFn) -> None:
        self._random = draw(st.randoms(use_true_random=False))

    def below(self, n: int) -> int:
        return self._random.randrange(n)

    def choice(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]


@st.composite
def streams(draw: st.DrawFn, profile: str = DEFAULT, exclude: tuple[str, ...] = (), api: str = "chat") -> Scenario:
    """Scenarios with one rule that answers any request: an answer, and either a few steps away from the plain wire or
    a fault.

    profile: one of PROFILES. `realistic` is what providers were recorded to send, `standard` what every client must
        read that reads as much as the official OpenAI SDK; the others are `strict-sse`, `contested`, `faults`, `all`,
        and the names of dialects for their usual wires.
    exclude: steps to leave out, by name or as whole blocks: `sse.line_end`, `transfer`, `truncated`.
    api: the API whose streams they are, by its name in `when: {api: …}`; it has its own dialects.

    Pass one to a server's `load`, let a client read the reply, and compare the result with `scenario.rules[0].reply`.
    ``fakellm.dump`` prints it as a file for ``scenarios/``. Raises ValueError if the profile, a step or the API does
    not exist.
    """
    return draws.scenario(_Drawn(draw), profile, exclude, fuzzed_api(api))


@st.composite
def answers(draw: st.DrawFn, api: str = "chat") -> Completion:
    """Complete answers that every client must be able to read: with content, a finish reason that fits, and usage.

    Nine in ten have one choice. `completions` also draws what no provider sends. Shrinks to the text "a". In an `api`
    that keeps the order of blocks, text may follow a call; some have what only this `api` has.
    """
    found = fuzzed_api(api)
    return answer(_Drawn(draw), keeps_order(found), own_answers(found))


@st.composite
def variations(
    draw: st.DrawFn,
    completion: Completion,
    profile: str = DEFAULT,
    exclude: tuple[str, ...] = (),
    most: int = 3,
    api: str = "chat",
) -> Variation:
    """Ways to divide, frame and send `completion`: at most `most` steps of the profile at once, usually one or two.

    exclude, api: as for `streams`. Shrinks to ``Variation()``, that is, to the fewest steps and to the
    cut nearest to a boundary.
    """
    return variation(_Drawn(draw), completion, profile_of(profile, exclude, fuzzed_api(api)), most)


@st.composite
def faults(draw: st.DrawFn, completion: Completion | None = None) -> Fault:
    """Faults of every kind, or of the kinds that `completion` has enough tool calls for. Shrinks towards the first
    kinds of ``fakellm.faults.Fault``, early places, and a fault that applies to every attempt.

    Waits last 0.01 s.
    """
    return fault(_Drawn(draw), completion)
