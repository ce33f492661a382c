"""What a provider requires of a chat beyond what all providers require, as data, and the check of a request against it.

Knows no provider by name: each dialect has its own `Accepts`, with the source of what it refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from fakellm.apis.chat.requests.tool_results import unpaired
from fakellm.apis.openai.request_body import missing, unsupported_value
from fakellm.base.errors import RequestError
from fakellm.model.request import Request


class Accepts(Struct, frozen=True):
    """What a provider accepts. The defaults are for a provider about which nothing is known.

    roles: of messages; None for any.
    parts: the types of a content's parts, each with the key that must stand beside `type` ("" for none); None for any.
    tool_types: of the tools on offer and of the calls in the conversation; None for any.
    requires_types: whether each of them must have its `type`; if not, a missing `type` means `function`.
    requires_definitions: whether a function and a custom tool must have an object beside `type` with its name.
    links_results: whether a call must have its `id`, a tool's result the `tool_call_id`, a function's the `name`.
    pairs_results: whether, besides, each call must have its result, and each result its call.
    requires_content: whether only a message with calls, and a function's, may lack its `content`.
    bounds: the lowest and the highest value of numbers.
    """

    roles: tuple[str, ...] | None = ("system", "assistant", "user", "function", "tool", "developer")
    parts: Mapping[str, str] | None = None
    tool_types: tuple[str, ...] | None = None
    requires_types: bool = True
    requires_definitions: bool = True
    links_results: bool = False
    pairs_results: bool = False
    requires_content: bool = False
    bounds: Mapping[str, tuple[int, int]] = {}


def refusal(request: Request, accepts: Accepts) -> RequestError | None:
    """The first thing in a chat that the provider refuses, with its parameter; None if it accepts the request."""
    return next(_refusals(request.body, accepts), None)


def _refusals(body: dict[str, Any], accepts: Accepts) -> Iterator[RequestError]:
    for number, message in enumerate(body["messages"]):
        yield from _of_message(message, number, accepts)
    for number, tool in enumerate(body.get("tools") or ()):
        yield from _of_tool(tool, f"tools[{number}]", accepts)
    for name, (low, high) in accepts.bounds.items():
        value = body.get(name)
        if value is not None and not low <= value <= high:
            yield _out_of_bounds(name, value, low, high)
    if accepts.pairs_results and (found := unpaired(body["messages"])):
        yield found


def _out_of_bounds(name: str, value: float, low: int, high: int) -> RequestError:
    if value > high:
        problem, bound, code = "above maximum", f"<= {high}", "decimal_above_max_value"
    else:
        problem, bound, code = "below minimum", f">= {low}", "decimal_below_min_value"
    text = f"Invalid '{name}': decimal {problem} value. Expected a value {bound}, but got {value} instead."
    return RequestError(400, text, code, name)


def _of_message(message: dict[str, Any], number: int, accepts: Accepts) -> Iterator[RequestError]:
    place, role = f"messages[{number}]", message["role"]
    if accepts.roles is not None and role not in accepts.roles:
        yield unsupported_value(f"{place}.role", role, accepts.roles)
    if isinstance(message.get("content"), list) and accepts.parts is not None:
        for part_number, part in enumerate(message["content"]):
            yield from _of_part(part, f"{place}.content[{part_number}]", accepts.parts)
    for call_number, call in enumerate(message.get("tool_calls") or ()):
        if accepts.links_results and call.get("id") is None:
            yield missing(f"{place}.tool_calls[{call_number}].id")
        yield from _of_tool(call, f"{place}.tool_calls[{call_number}]", accepts)
    link = {"tool": "tool_call_id", "function": "name"}.get(role)
    if accepts.links_results and link and message.get(link) is None:
        text = f"Missing parameter '{link}': messages with role '{role}' must have a '{link}'."
        yield RequestError(400, text, None, f"messages.[{number}].{link}")  # the dot is OpenAI's
    if accepts.requires_content and message.get("content") is None and not _may_lack_content(message):
        text = "Invalid value for 'content': expected a string, got null."
        yield RequestError(400, text, None, f"messages.[{number}].content")


def _may_lack_content(message: dict[str, Any]) -> bool:
    instead = ("tool_calls", "function_call", "refusal", "audio")
    return message["role"] == "function" or (message["role"] == "assistant" and any(map(message.get, instead)))


def _of_part(part: dict[str, Any], place: str, parts: Mapping[str, str]) -> Iterator[RequestError]:
    kind = part["type"]
    if kind not in parts:
        yield unsupported_value(f"{place}.type", kind, tuple(parts))
    elif (key := parts[kind]) and part.get(key) is None:
        yield missing(f"{place}.{key}")


def _of_tool(tool: dict[str, Any], place: str, accepts: Accepts) -> Iterator[RequestError]:
    """The errors in a tool on offer or in a call: both have a `type`, and their details under the key of that name."""
    kind = tool.get("type")
    if kind is None and accepts.requires_types:
        yield missing(f"{place}.type")
    kind = "function" if kind is None else kind
    if accepts.tool_types is not None and kind not in accepts.tool_types:
        yield unsupported_value(f"{place}.type", kind, accepts.tool_types)
    if accepts.requires_definitions and kind in ("function", "custom") and tool.get(kind) is None:
        yield missing(f"{place}.{kind}")
