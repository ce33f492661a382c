"""The words of scenarios as attributes of a handle: in a test, the fixture `fakellm` hides the module of that name."""

from __future__ import annotations

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
