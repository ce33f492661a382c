"""The page of every public Python name, from signatures and docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cached_property
from types import FunctionType
from typing import Any, get_args

import fakellm
from docs.generate.markdown import NOTE, prose, table
from fakellm.model.request import Message, PastCall, Request
from fakellm.scenarios.builder import On
from fakellm.testing.handle import Handle

INTRODUCTION = f"""\
# All Python names

{NOTE}

What `import fakellm` offers, with the signatures and descriptions of the code. [The pytest fixture](testing.md),
[the journal](journal.md), [scenarios](scenarios.md#in-python) and [fuzzing](fuzzing.md) show them in use.
"""
GROUPS = {
    "Start a server": ("serve", "spawn", "replay", "record", "Handle"),
    "Build rules": ("on", "call", "load", "dump"),
    "Look at requests": ("Entry", "Request"),
    "Fuzz": ("fuzz",),
    "Errors": ("FakellmError", "ScenarioError", "CassetteError", "ServerError"),
    "Values of a scenario": (
        *("Scenario", "Rule", "Step", "When", "Pattern", "Reply", "ReplyChoice", "Call", "Computed", "Usage"),
        *("Variation", "Framing", "Insert", "Transfer", "Timing", "Stall", "RateLimit", "Allowance"),
    ),
    "Values of a completion": ("Completion", "Choice", "Text", "Refusal", "Thinking", "ToolCall", "Opaque", "Stop"),
}
"""Every public name, in the order of the page."""
METHODS = {"Handle": Handle, "on": On, "Request": Request}
"""The classes whose methods and properties are listed too, by the name that leads to them."""
PARTS = {"Request": (Message, PastCall)}
"""The types of what is in a value, which nobody has to import."""


def page() -> str:
    """The text of the page."""
    sections = [f"## {title}\n\n" + "\n".join(map(_entry, names)) for title, names in GROUPS.items()]
    return "\n".join([INTRODUCTION, *sections, _faults(), _strategies()])


def _entry(name: str) -> str:
    value = getattr(fakellm, name)
    text = f"### {name}\n\n{_signature(name, value)}{_documentation(value)}\n"
    if name in METHODS:
        text += "\n" + _methods(METHODS[name])
    for part in PARTS.get(name, ()):
        text += f"\n#### {part.__name__}\n\n{_signature(part.__name__, part)}{_documentation(part)}\n"
    return text


def _methods(kind: type) -> str:
    rows = []
    for name, value in _public(kind):
        call = name if isinstance(value, (property, cached_property)) else f"{name}{_parameters(value)}"
        rows.append((f"`.{call}`", prose(_paragraph(value))))
    return table(("member", "what it does"), rows)


def _public(kind: type) -> Iterator[tuple[str, Any]]:
    """The public members of a class, those that it inherits included, each once."""
    found: dict[str, Any] = {}
    for each in reversed(kind.__mro__[:-1]):
        found |= {name: value for name, value in vars(each).items() if name[0] != "_"}
    for name, value in found.items():
        if isinstance(value, (FunctionType, property, cached_property)):
            yield name, value


def _signature(name: str, value: Any) -> str:
    if isinstance(value, type):
        if not issubclass(value, Exception) and hasattr(value, "__struct_fields__"):
            module = "fakellm." if hasattr(fakellm, name) else ""
            return f"```text\n{module}{name}({', '.join(_fields(value))})\n```\n\n"
        return ""
    return f"```text\nfakellm.{name}{_parameters(value)}\n```\n\n"


def _fields(value: Any) -> Iterator[str]:
    required = len(value.__struct_fields__) - len(value.__struct_defaults__)
    for number, name in enumerate(value.__struct_fields__):
        yield name if number < required else f"{name}=..."


def _parameters(function: Any) -> str:
    """The parameters as they are written, without the types of the package itself."""
    signature = inspect.signature(function)
    parameters = [each for name, each in signature.parameters.items() if name != "self"]
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in parameters]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))


def _documentation(value: Any) -> str:
    return prose(inspect.getdoc(value) or "")


def _paragraph(value: Any) -> str:
    """The first paragraph of a docstring, in a line."""
    return " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split())


def _faults() -> str:
    kinds = sorted(get_args(fakellm.faults.Fault), key=lambda kind: str(kind.__name__))
    rows = [(f"`{kind.__name__}`", f"`{kind.__struct_config__.tag}`", prose(_paragraph(kind))) for kind in kinds]
    head = "## Faults\n\nThe classes of `fakellm.faults`; [faults](faults.md) shows each as YAML.\n"
    return f"{head}\n{table(('class', '`kind`', 'what it does'), rows)}"


def _strategies() -> str:
    module = fakellm.strategies
    rows = [
        (f"`{name}{_parameters(getattr(module, name))}`", prose(_paragraph(getattr(module, name))))
        for name in module.__all__
        if name.islower()
    ]
    head = "## Strategies of hypothesis\n\nThe functions of `fakellm.strategies`.\n"
    return f"{head}\n{table(('function', 'what it draws'), rows)}"
