"""The words of scenarios as attributes of a handle: in a test, the fixture `fakellm` hides the module of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import fakellm
from fakellm.base.words.missing import missing
from fakellm.base.words.near_miss import near_miss
from fakellm.scenarios import matching, python_replies, reply, scenario, usage
from fakellm.testing.fault_names import Faults
from fakellm.wire import timing

SETTINGS = ("scenario", "seed", "speed", "dialect", "host", "env")
"""What only the start of a server or of a test can set."""


_MEANT = {
    "call_count": "len(fakellm.requests)",
    "call_args": "fakellm.requests[-1]",
    "calls": "fakellm.requests",
    "called": "fakellm.assert_called()",
    "assert_called_once": "fakellm.assert_called(times=1)",
    "assert_called_times": "fakellm.assert_called(times=…)",
    "delay": "fakellm.on().timing(first=1)",
    **{name: f"fakellm.on().{name}(…)" for name in ("call_tool", "fault", "stream", "timing", "then", "after")},
}
"""What mocks call what a handle has, and methods of what `on` returns."""


class Vocabulary:
    """`fakellm.Rule`, `fakellm.faults`, `fakellm.call` and so on, as in the module `fakellm`."""

    faults = Faults
    call = staticmethod(python_replies.call)
    Rule = scenario.Rule
    Step = scenario.Step
    Scenario = scenario.Scenario
    When = matching.When
    Pattern = matching.Pattern
    Reply = reply.Reply
    ReplyChoice = reply.ReplyChoice
    Call = reply.Call
    Usage = usage.Usage
    Timing = timing.Timing
    Stall = timing.Stall

    _settable: ClassVar[tuple[str, ...]] = ()
    """What can be set; anything else would have no effect."""

    if not TYPE_CHECKING:  # a type checker would take any name for one that is there

        def __setattr__(self, name: str, value: object) -> None:
            if name in self._settable:
                super().__setattr__(name, value)
                return
            known = [each for each in dir(type(self)) if not each.startswith("_")]
            if name in SETTINGS:
                remedy = f"it is a setting of the marker, @pytest.mark.fakellm({name}=…)"
            elif callable(getattr(type(self), name, None)):
                remedy = f"call it: fakellm.{name}(…)"
            else:
                remedy = "it can only be read" if name in known else f"it does not exist{near_miss(name, known)}"
            raise AttributeError(f"{name!r} of a {type(self).__name__} cannot be set: {remedy}", name="", obj=None)

        def __getattr__(self, name: str) -> object:
            known = [each for each in dir(type(self)) if not each.startswith("_")]
            if name in fakellm.__all__:
                message = (
                    f"{type(self).__name__!r} object has no attribute {name!r}{near_miss(name, known)}; the fixture"
                )
                message += f" hides the module of its name, which has it: `from fakellm import {name}`"
                raise AttributeError(message, name="", obj=None)
            raise missing(type(self).__name__, name, known, _MEANT)
