"""How the items of server tools are streamed: what opens them, which of their fields arrive in pieces, their progress.

Their values are kept unchanged. The tables are the usual stream; a recording may differ, and is played as it was.
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from fakellm.base.json_text import JSON
from fakellm.streaming.grammar import Field


class ServerItem(Struct, frozen=True):
    """How a type of item is streamed.

    late: the keys that it gets only when it is done. field: the one that arrives in pieces.
    before, after: its progress events before and after that, by the last part of their type.
    """

    late: tuple[str, ...] = ()
    field: str = ""
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


SERVER_ITEMS: Mapping[str, ServerItem] = {
    "web_search_call": ServerItem(("status", "action"), "", ("in_progress", "searching", "completed")),
    "file_search_call": ServerItem(("status", "results"), "", ("in_progress", "searching", "completed")),
    "code_interpreter_call": ServerItem(("status", "outputs"), "code", ("in_progress",), ("interpreting", "completed")),
    "mcp_list_tools": ServerItem(("tools",), "", ("in_progress", "completed")),
    "mcp_call": ServerItem(("status", "output", "error"), "arguments", ("in_progress",), ("completed",)),
    "image_generation_call": ServerItem(("status", "result"), "", ("in_progress", "generating")),
    "tool_search_call": ServerItem(("status",)),
    "tool_search_output": ServerItem(("status",)),
    "local_shell_call": ServerItem(("status",)),
    "shell_call": ServerItem(("status",)),
    "shell_call_output": ServerItem(("status",)),
    "apply_patch_call": ServerItem(("status",)),
}

PIECES = {
    "response.code_interpreter_call_code.delta": "code",
    "response.mcp_call_arguments.delta": "arguments",
}
"""The field of an item to which an event adds a piece."""
REPEATS = {
    "response.code_interpreter_call_code.done": "code",
    "response.mcp_call_arguments.done": "arguments",
}
"""The field of an item that an event repeats."""


def fields_of_item(item: JSON) -> Iterator[Field]:
    """What is streamed of an item after its opening."""
    kind = str(item.get("type"))
    known = SERVER_ITEMS.get(kind, ServerItem())
    for key in known.late:
        if item.get(key):
            yield Field(f"value.{key}", "none")
    for step in known.before:
        yield Field(look={"type": f"response.{kind}.{step}"})
    if known.field and isinstance(item.get(known.field), str):
        yield Field(f"value.{known.field}")
    for step in known.after:
        failed = kind == "mcp_call" and item.get("error")
        yield Field(look={"type": f"response.{kind}.{'failed' if failed and step == 'completed' else step}"})


def opened(item: JSON) -> JSON:
    """The item as `output_item.added` usually has it: in progress, and without what it gets later."""
    known = SERVER_ITEMS.get(str(item.get("type")), ServerItem())
    late = (*known.late, known.field)
    return {
        key: _OPENED[key] if key in late else value for key, value in item.items() if key not in late or key in _OPENED
    }


_OPENED: JSON = {
    "status": "in_progress",
    "code": "",
    "arguments": "",
    "tools": [],
    "outputs": None,
    "results": None,
    "output": None,
    "error": None,
}
