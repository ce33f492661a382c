"""Hypothesis draws of the package's own values: completions, variations, faults, and scenarios to serve.

Builds nothing of its own: what is drawn is what the fuzzer draws, what YAML says and what a counterexample prints, and
all of it shrinks towards the shortest texts on the plain wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st

from fakellm.apis.chat.variation import Variation
from fakellm.faults import Fault
from fakellm.fuzzing import draws
from fakellm.fuzzing.draws.answers import answer
from fakellm.fuzzing.draws.faults import fault
from fakellm.fuzzing.draws.profiles import PROFILES
from fakellm.fuzzing.draws.profiles import profile as profile_of
from fakellm.fuzzing.draws.variations import variation
from fakellm.fuzzing.strategies.completions import completions, texts
from fakellm.fuzzing.strategies.framings import framings, transfers
from fakellm.model.completion import Completion
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
    """Choices that hypothesis makes and shrinks, as those of one `Random`.

    Drawn one by one, hypothesis would copy some over others, and what it tries would be much the same: in a hundred
    examples of `streams("all")` there were 31 different steps and faults where now there are 74.
    """

    def __init__(self, draw: st.DrawFn) -> None:
        self._random = draw(st.randoms(use_true_random=False))

    def below(self, n: int) -> int:
        return self._random.randrange(n)

    def choice(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]


@st.composite
def streams(draw: st.DrawFn, profile: str = "default", exclude: tuple[str, ...] = ()) -> Scenario:
    """Scenarios of one rule that answers any request: an answer, and either a few steps from the plain wire or a fault.

    profile: one of PROFILES: `default` is what any client must read that reads what the official OpenAI SDK does;
        `strict-sse`, `contested`, `faults`, `all`, or the name of a dialect for its usual wire.
    exclude: steps to leave out, by their names or those of whole blocks: `sse.line_end`, `transfer`, `truncated`.

    Put one into a server with `load`, let a client read it, and compare with `scenario.rules[0].reply`. Printed with
    ``fakellm.dump`` it is a file for ``scenarios/``. Raises ValueError where there is no such profile or step.
    """
    return draws.scenario(_Drawn(draw), profile, exclude)


@st.composite
def answers(draw: st.DrawFn) -> Completion:
    """Whole answers that every client must read: something is said, the finish reason fits it, and usage is given.

    Nine in ten have one choice; `completions` draws what no provider sends too. Shrinks to the text "a".
    """
    return answer(_Drawn(draw))


@st.composite
def variations(
    draw: st.DrawFn,
    completion: Completion,
    profile: str = "default",
    exclude: tuple[str, ...] = (),
    most: int = 3,
) -> Variation:
    """Ways to say, frame and send `completion`: at most so many steps of a profile at once, and most often one or two.

    `exclude`: steps to leave out, as for `streams`. Shrinks to ``Variation()``: to the fewest steps, and to the cut
    nearest a boundary.
    """
    return variation(_Drawn(draw), completion, profile_of(profile, exclude), most)


@st.composite
def faults(draw: st.DrawFn, completion: Completion | None = None) -> Fault:
    """Faults of every kind, or of those that `completion` has the tool calls for. Shrinks towards the first kinds of
    ``fakellm.faults.Fault``, early places, and a fault that every attempt meets.

    Waits are of a hundredth of a second.
    """
    return fault(_Drawn(draw), completion)
