"""How the ids of responses, items and calls are drawn, by provider. Knows no completion.

The lengths and alphabets are those of recordings of 2025 and 2026. OpenAI: 50 hexadecimal digits, of which all ids of
one response share the first 18, and the next 8 are the time.
"""

from __future__ import annotations

import string
from collections.abc import Callable

from msgspec import Struct

from fakellm.base.seed import ALNUM, HEX, Source

PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "web_search_call": "ws",
    "file_search_call": "fs",
    "code_interpreter_call": "ci",
    "image_generation_call": "ig",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcpl",
    "mcp_approval_request": "mcpr",
    "shell_call": "sh",
    "shell_call_output": "sho",
    "apply_patch_call": "apc",
    "tool_search_call": "tsc",
    "tool_search_output": "tso",
    "local_shell_call": "lsh",
    "computer_call": "cu",
    "compaction": "cmp",
    "program": "prg",
    "program_output": "pro",
}
"""What the ids of items begin with, by the type of the item."""

_BASE36 = string.ascii_lowercase + string.digits


class Ids(Struct, frozen=True):
    """The ids of one provider. `response` draws one from the time; `item` from the type of the item, the response's id,
    the time, and the item's number among those of its type; `call` draws that of a call."""

    response: Callable[[Source, int], str]
    item: Callable[[Source, str, str, int, int], str]
    call: Callable[[Source], str]


def prefix(kind: str) -> str:
    """What the ids of items of this type begin with."""
    return PREFIXES.get(kind, kind.split("_")[0] or "item")


def _openai_response(source: Source, created: int) -> str:
    return f"resp_{source.text(HEX, 18)}{created & 0xFFFFFFFF:08x}{source.text(HEX, 24)}"


def _openai_item(source: Source, kind: str, response: str, created: int, number: int) -> str:
    shared = response.removeprefix("resp_")[:18].ljust(18, "0")
    return f"{prefix(kind)}_{shared}{created + 1 & 0xFFFFFFFF:08x}{source.text(HEX, 24)}"


def _with_number(name: str, kind: str, number: int) -> str:
    return f"{name}_{number}" if number or kind == "function_call" else name


OPENAI = Ids(_openai_response, _openai_item, lambda source: "call_" + source.text(ALNUM, 24))
XAI = Ids(
    lambda source, created: source.uuid(),
    lambda source, kind, response, created, number: _with_number(f"{prefix(kind)}_{response}", kind, number),
    lambda source: f"call-{source.uuid()}-0",
)
UUIDS = Ids(
    lambda source, created: source.uuid(),
    lambda source, kind, response, created, number: source.uuid(),
    lambda source: "call_00_" + source.text(ALNUM, 20),
)
OPENROUTER = Ids(
    lambda source, created: f"gen-{created}-{source.text(ALNUM, 20)}",
    lambda source, kind, response, created, number: f"{prefix(kind)}_tmp_{source.text(_BASE36, 11)}",
    lambda source: "call_" + source.text(ALNUM, 24),
)
LMSTUDIO = Ids(
    lambda source, created: "resp_" + source.text(HEX, 48),
    lambda source, kind, response, created, number: f"{prefix(kind)}_{source.text(_BASE36, 21)}",
    lambda source: "call_" + source.text(_BASE36, 21),
)
MANTLE = Ids(
    lambda source, created: "resp_" + source.text(_BASE36, 52),
    lambda source, kind, response, created, number: f"{prefix(kind)}_{source.text(HEX, 32)}",
    lambda source: "call_" + source.text(HEX, 8),
)
COPILOT = Ids(
    lambda source, created: source.text(ALNUM + "+/", 60),
    lambda source, kind, response, created, number: source.text(ALNUM + "+/", 88),
    lambda source: "call_" + source.text(ALNUM, 24),
)
