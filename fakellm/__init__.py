"""A deterministic fake LLM server for testing.

Importing this package is cheap: what a name needs is imported when the name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakellm.completion import Choice as Choice
    from fakellm.completion import Completion as Completion
    from fakellm.completion import ToolCall as ToolCall
    from fakellm.completion import Usage as Usage
    from fakellm.errors import CassetteError as CassetteError
    from fakellm.errors import FakellmError as FakellmError
    from fakellm.errors import ScenarioError as ScenarioError
    from fakellm.errors import ServerError as ServerError
    from fakellm.framing import Framing as Framing
    from fakellm.framing import Insert as Insert
    from fakellm.fuzzing import fuzz as fuzz
    from fakellm.handle import Handle as Handle
    from fakellm.handle import record as record
    from fakellm.handle import replay as replay
    from fakellm.handle import serve as serve
    from fakellm.handle import spawn as spawn
    from fakellm.loader import dump as dump
    from fakellm.loader import load as load
    from fakellm.match import Pattern as Pattern
    from fakellm.match import When as When
    from fakellm.request import Request as Request
    from fakellm.scenario import Call as Call
    from fakellm.scenario import Computed as Computed
    from fakellm.scenario import Reply as Reply
    from fakellm.scenario import ReplyChoice as ReplyChoice
    from fakellm.scenario import Rule as Rule
    from fakellm.scenario import Scenario as Scenario
    from fakellm.scenario import Step as Step
    from fakellm.script import on as on
    from fakellm.timing import Stall as Stall
    from fakellm.timing import Timing as Timing
    from fakellm.transfer import Transfer as Transfer
    from fakellm.variation import Variation as Variation

_ROOMS = {
    "completion": ("Choice", "Completion", "ToolCall", "Usage"),
    "errors": ("CassetteError", "FakellmError", "ScenarioError", "ServerError"),
    "framing": ("Framing", "Insert"),
    "fuzzing": ("fuzz",),
    "handle": ("Handle", "record", "replay", "serve", "spawn"),
    "loader": ("dump", "load"),
    "match": ("Pattern", "When"),
    "request": ("Request",),
    "scenario": ("Call", "Computed", "Reply", "ReplyChoice", "Rule", "Scenario", "Step"),
    "script": ("on",),
    "timing": ("Stall", "Timing"),
    "transfer": ("Transfer",),
    "variation": ("Variation",),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fakellm' has no attribute {name!r}")
    value = getattr(import_module(f"fakellm.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
