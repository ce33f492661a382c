"""Which of the tools on offer a generated reply calls, and with what arguments.

Owns the draws; the request says which tools may be called. Knows no API's parameters.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from fakellm.apis.protocol import Provider
from fakellm.base.errors import RequestError
from fakellm.base.json_text import dumps
from fakellm.base.seed import Source
from fakellm.generate.json_schema import instance
from fakellm.generate.prose import text
from fakellm.model.blocks import ToolCall
from fakellm.model.request import Message, Request, Tool


def generated_calls(request: Request, seed: int, index: int, provider: Provider) -> tuple[ToolCall, ...]:
    """The calls in the choice at `index`; none if the reply is text.

    If no call is required, tools are called until there are results to answer, so that an agent's loop ends.
    Raises RequestError if a required call cannot be generated.
    """
    allowed = request.allowed_calls
    offered = {tool.name: tool for tool in request.offered if not tool.grammar}
    names = tuple(name for name in allowed.names if name in offered)
    if allowed.required and allowed.names and not names:
        raise _unknown_grammar(allowed.names[0])
    answered = _answered(request.messages)
    if not names or (answered and not allowed.required):
        return ()
    picked = _picked(
        names, answered, allowed.parallel and not allowed.named, Source(seed, request.digest, "tools", index)
    )
    return tuple(_call(offered[name], request, seed, (index, number), provider) for number, name in enumerate(picked))


def check(request: Request) -> None:
    """Raises RequestError for a tool whose parameters are not the schema of an object, called or not."""
    for tool in request.offered:
        if tool.parameters and tool.kind == "function":
            try:
                instance.check(tool.parameters)
            except instance.UnsatisfiableSchemaError as error:
                raise _invalid_schema(tool, str(error)) from None
            kind = tool.parameters.get("type", "object")
            if "object" not in (kind if isinstance(kind, list) else [kind]):
                raise _invalid_schema(tool, f"it must be of 'type': 'object', not {kind!r}")


def _answered(messages: tuple[Message, ...]) -> tuple[str, ...]:
    """The tools with a result since the user's last message, by name if the conversation has the call."""
    recent = [*takewhile(lambda message: message.role != "user", reversed(messages))]
    names = {call.id: call.name for message in recent for call in message.calls if call.id}
    return tuple(
        names.get(message.result_of or "", message.name or "")
        for message in recent
        if message.role in ("tool", "function")
    )


def _picked(names: tuple[str, ...], answered: tuple[str, ...], parallel: bool, source: Source) -> list[str]:
    """One tool or two, in the order of the offer. Tools without a result come first, so that a
    loop that ends when a certain tool is called does end."""
    candidates = [name for name in names if name not in answered] or list(names)
    count = source.between(1, 2) if parallel and len(candidates) > 1 else 1
    start = source.below(len(candidates))
    picked = {candidates[(start + step) % len(candidates)] for step in range(count)}
    return [name for name in candidates if name in picked]


def _call(tool: Tool, request: Request, seed: int, place: tuple[int, int], provider: Provider) -> ToolCall:
    index, number = place
    source = Source(seed, request.digest, "arguments", index, number)
    try:
        arguments = _input(tool, source) if tool.kind == "custom" else dumps(_object(tool, source))
    except instance.UnsatisfiableSchemaError as error:
        raise _invalid_schema(tool, str(error)) from None
    call_id = Source(seed, request.digest).draw(("call", index, number), provider.call_id)
    return ToolCall(call_id, tool.name, arguments, tool.kind)


def _object(tool: Tool, source: Source) -> dict[str, Any]:
    arguments = instance.instance({"type": "object", **(tool.parameters or {})}, source)
    if not isinstance(arguments, dict):
        raise instance.UnsatisfiableSchemaError(f"it must allow objects; it allows {arguments!r}")
    return arguments


def _input(tool: Tool, source: Source) -> str:
    return text(source, 1) if tool.parameters is None else str(instance.instance(tool.parameters, source))


def _invalid_schema(tool: Tool, problem: str) -> RequestError:
    if tool.kind == "custom":
        return RequestError(
            400, f"Invalid grammar for custom tool {tool.name!r}: {problem}", "invalid_value", tool.param
        )
    message = f"Invalid schema for function {tool.name!r}: {problem}"
    return RequestError(400, message, "invalid_function_parameters", tool.param)


def _unknown_grammar(name: str) -> RequestError:
    message = (
        f"A generated reply cannot call the custom tool {name!r}: no text can be made for its grammar. "
        "Offer another tool as well, or answer this request with a rule."
    )
    return RequestError(400, message, "unsupported_value", "tool_choice")
