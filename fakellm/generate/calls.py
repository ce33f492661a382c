"""Which of the tools on offer a generated reply calls, and with what. Owns how `tools`, `tool_choice` and
`parallel_tool_calls` are honoured.

https://platform.openai.com/docs/api-reference/chat/create#chat_create-tool_choice
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.chat.dialect import Dialect
from fakellm.base.errors import RequestError
from fakellm.base.json_text import dumps
from fakellm.base.seed import Source
from fakellm.base.validation import near_miss
from fakellm.generate.json_schema import instance
from fakellm.model.completion import ToolCall
from fakellm.model.request import Chat, Function, Request, Tool

_MODES = ("none", "auto", "required", "any")  # "any" is Mistral's word for "required"


class Choice(Struct, frozen=True):
    """What `tool_choice` says: whether a call must be made, and of which tools; `named`: of one that it names."""

    must: bool
    tools: tuple[str, ...]
    named: bool = False


def called(request: Request, seed: int, index: int, dialect: Dialect) -> tuple[tuple[ToolCall, ...], bool]:
    """The calls of the choice at `index`, and whether the request named the function; none where text is due.

    Where the request leaves it open, tools are called until there are results to answer: so an agent's loop ends.
    """
    chat = offer(request.chat)
    offered = {tool.function.name: tool.function for tool in chat.tools or () if tool.function}
    choice = _choice(chat, tuple(offered))
    results = _since_user(chat)
    if not choice.tools or (results and not choice.must):
        return (), False
    source = Source(seed, request.digest, "tools", index)
    names = _picked(choice, results, chat.parallel_tool_calls is not False, source)
    made = [_call(offered[name], request, seed, (index, number), dialect) for number, name in enumerate(names)]
    return tuple(made), choice.named


def check(chat: Chat) -> None:
    """Raises RequestError for a tool whose parameters are no schema of an object, called or not."""
    for number, tool in enumerate(offer(chat).tools or ()):
        if tool.function and tool.function.parameters:
            try:
                instance.check(tool.function.parameters)
            except instance.UnmetSchemaError as error:
                raise _refusal(chat, tool.function, number, str(error)) from None
            kind = tool.function.parameters.get("type", "object")
            if "object" not in (kind if isinstance(kind, list) else [kind]):
                raise _refusal(chat, tool.function, number, f"it must be of 'type': 'object', not {kind!r}")


def offer(chat: Chat) -> Chat:
    """The request with `functions` and `function_call` as the `tools` and `tool_choice` that took their place: one call
    at most."""
    if chat.tools or not chat.functions:
        return chat
    choice = chat.function_call
    if isinstance(choice, dict):
        choice = {"type": "function", "function": choice}
    tools = tuple(Tool("function", function) for function in chat.functions)
    return replace(chat, tools=tools, tool_choice=choice, parallel_tool_calls=False)


def _choice(chat: Chat, offered: tuple[str, ...]) -> Choice:
    said = chat.tool_choice
    if said is None or isinstance(said, str):
        if said is not None and said not in _MODES:
            message = f"Invalid value: {said!r}. Supported values are: 'none', 'auto', and 'required'."
            raise RequestError(400, message + near_miss(said, _MODES), "invalid_value", "tool_choice")
        if said in ("required", "any") and not offered:
            message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
            raise RequestError(400, message, "invalid_value", "tool_choice")
        return Choice(said in ("required", "any"), () if said == "none" else offered)
    if said.get("type") == "allowed_tools":
        inner = said.get("allowed_tools")
        inner = inner if isinstance(inner, dict) else said  # the Responses API has no such level
        tools = inner.get("tools")
        names = [_named(tool, offered) for tool in (tools if isinstance(tools, list) else ())]
        return Choice(inner.get("mode") == "required", tuple(name for name in offered if name in names))
    return Choice(True, (_named(said, offered),), named=True)


def _named(said: Any, offered: tuple[str, ...]) -> str:
    function = said.get("function") if isinstance(said, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        message = "Missing required parameter: 'tool_choice.function.name'."
        raise RequestError(400, message, "missing_required_parameter", "tool_choice.function.name")
    if name not in offered:
        message = f"Tool choice {name!r} not found in 'tools' parameter{near_miss(name, offered)}"
        raise RequestError(400, message, "invalid_value", "tool_choice")
    return name


def _since_user(chat: Chat) -> tuple[str, ...]:
    """The tools with a result since the user last spoke, by name where the call is there to tell."""
    last = [*takewhile(lambda message: message.role != "user", reversed(chat.messages))]
    names = {call.id: call.function.name for each in last for call in each.tool_calls or () if call.function}
    return tuple(
        names.get(each.tool_call_id or "", each.name or "") for each in last if each.role in ("tool", "function")
    )


def _picked(choice: Choice, results: tuple[str, ...], parallel: bool, source: Source) -> list[str]:
    """One tool or two, in the order of the offer. A call that must be made is first of those without a result yet: a
    loop that ends with the call of a certain tool ends."""
    open_ = [name for name in choice.tools if name not in results] or list(choice.tools)
    wanted = source.between(1, 2) if parallel and len(open_) > 1 and not choice.named else 1
    start = source.below(len(open_))
    picked = {open_[(start + step) % len(open_)] for step in range(wanted)}
    return [name for name in open_ if name in picked]


def _call(function: Function, request: Request, seed: int, place: tuple[int, int], dialect: Dialect) -> ToolCall:
    index, number = place
    parameters = {"type": "object", **(function.parameters or {})}
    try:
        arguments = instance.instance(parameters, Source(seed, request.digest, "arguments", index, number))
        if not isinstance(arguments, dict):
            raise instance.UnmetSchemaError(f"it must allow objects; it allows {arguments!r}")
    except instance.UnmetSchemaError as error:
        tools = offer(request.chat).tools or ()
        which = [tool.function for tool in tools].index(function)
        raise _refusal(request.chat, function, which, str(error)) from None
    call_id = dialect.call_id(Source(seed, request.digest, "call", index, number))
    return ToolCall(call_id, function.name, dumps(arguments))


def _refusal(chat: Chat, function: Function, number: int, why: str) -> RequestError:
    message = f"Invalid schema for function {function.name!r}: {why}"
    place = f"tools[{number}].function" if chat.tools else f"functions[{number}]"
    return RequestError(400, message, "invalid_function_parameters", f"{place}.parameters")
