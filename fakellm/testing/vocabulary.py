"""The words of scenarios as attributes of a handle: in a test, the fixture `fakellm` hides the module of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fakellm
from fakellm.base.validation import near_miss
from fakellm.scenarios import matching, python_replies, reply, scenario, usage
from fakellm.testing.fault_names import Faults
from fakellm.wire import timing


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

    if not TYPE_CHECKING:  # a type checker would take any name for one that is there

        def __getattr__(self, name: str) -> object:
            known = [each for each in dir(type(self)) if not each.startswith("_")]
            message = f"{type(self).__name__!r} object has no attribute {name!r}{near_miss(name, known)}"
            if name in fakellm.__all__:
                message += f"; the fixture hides the module of its name, which has it: `from fakellm import {name}`"
            raise AttributeError(message, name="", obj=None)  # so that Python adds no hint of its own
