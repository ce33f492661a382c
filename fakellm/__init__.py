"""A deterministic fake LLM server for testing.

Importing this package is cheap: what a name needs is imported when the name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakellm import drivers as drivers
    from fakellm import faults as faults
    from fakellm import strategies as strategies
    from fakellm.apis.variation import Variation as Variation
    from fakellm.base.errors import CassetteError as CassetteError
    from fakellm.base.errors import FakellmError as FakellmError
    from fakellm.base.errors import ScenarioError as ScenarioError
    from fakellm.base.errors import ServerError as ServerError
    from fakellm.engine.entry import Entry as Entry
    from fakellm.fuzzing import fuzz as fuzz
    from fakellm.model.blocks import Choice as Choice
    from fakellm.model.blocks import Completion as Completion
    from fakellm.model.blocks import Opaque as Opaque
    from fakellm.model.blocks import Refusal as Refusal
    from fakellm.model.blocks import Stop as Stop
    from fakellm.model.blocks import Text as Text
    from fakellm.model.blocks import Thinking as Thinking
    from fakellm.model.blocks import ToolCall as ToolCall
    from fakellm.model.request import Request as Request
    from fakellm.quotas.rate_limits import Allowance as Allowance
    from fakellm.quotas.rate_limits import RateLimit as RateLimit
    from fakellm.scenarios.builder import on as on
    from fakellm.scenarios.loader import dump as dump
    from fakellm.scenarios.loader import load as load
    from fakellm.scenarios.matching import Pattern as Pattern
    from fakellm.scenarios.matching import When as When
    from fakellm.scenarios.python_replies import call as call
    from fakellm.scenarios.reply import Call as Call
    from fakellm.scenarios.reply import Computed as Computed
    from fakellm.scenarios.reply import Reply as Reply
    from fakellm.scenarios.reply import ReplyChoice as ReplyChoice
    from fakellm.scenarios.scenario import Rule as Rule
    from fakellm.scenarios.scenario import Scenario as Scenario
    from fakellm.scenarios.scenario import Step as Step
    from fakellm.scenarios.usage import Usage as Usage
    from fakellm.testing.handle import Handle as Handle
    from fakellm.testing.launchers import record as record
    from fakellm.testing.launchers import replay as replay
    from fakellm.testing.launchers import serve as serve
    from fakellm.testing.launchers import spawn as spawn
    from fakellm.wire.framing import Framing as Framing
    from fakellm.wire.framing import Insert as Insert
    from fakellm.wire.http.transfer import Transfer as Transfer
    from fakellm.wire.timing import Stall as Stall
    from fakellm.wire.timing import Timing as Timing

_MODULES = {
    "apis.variation": ("Variation",),
    "base.errors": ("CassetteError", "FakellmError", "ScenarioError", "ServerError"),
    "engine.entry": ("Entry",),
    "fuzzing": ("fuzz",),
    "model.blocks": ("Choice", "Completion", "Opaque", "Refusal", "Stop", "Text", "Thinking", "ToolCall"),
    "model.request": ("Request",),
    "scenarios.builder": ("on",),
    "scenarios.loader": ("dump", "load"),
    "scenarios.matching": ("Pattern", "When"),
    "scenarios.python_replies": ("call",),
    "quotas.rate_limits": ("Allowance", "RateLimit"),
    "scenarios.reply": ("Call", "Computed", "Reply", "ReplyChoice"),
    "scenarios.scenario": ("Rule", "Scenario", "Step"),
    "scenarios.usage": ("Usage",),
    "testing.handle": ("Handle",),
    "testing.launchers": ("record", "replay", "serve", "spawn"),
    "wire.framing": ("Framing", "Insert"),
    "wire.timing": ("Stall", "Timing"),
    "wire.http.transfer": ("Transfer",),
}
"""The public names, by the module that defines them."""
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
_SUBMODULES = ("drivers", "faults", "strategies")
"""Public modules, imported when first used."""

__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


if not TYPE_CHECKING:  # a type checker would take any name for one that is there

    def __getattr__(name: str) -> Any:
        if name in _SUBMODULES:
            return import_module(f"fakellm.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module 'fakellm' has no attribute {name!r}{_hint(name)}")
        value = getattr(import_module(f"fakellm.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def _hint(name: str) -> str:
    """What may explain a missing name: it is one of the fixture of this name, or of the unrelated distribution
    `fakellm`, whose place this one took.

    Looking for them takes milliseconds, and `from fakellm import generate` asks for an attribute before it imports the
    module: so not for modules.
    """
    from pathlib import Path

    if name.startswith("_") or Path(__path__[0], name).exists():
        return ""
    from fakellm.base.installation import REMEDY, other_distribution
    from fakellm.testing.handle import Handle

    if hasattr(Handle, name):
        return "; the pytest fixture `fakellm` has: add the argument `fakellm` to the test"

    other = other_distribution()
    return f"; the unrelated distribution {other!r} is installed into the same folder. {REMEDY}" if other else ""


def __dir__() -> list[str]:
    return [*globals(), *_HOMES, *_SUBMODULES]
