"""Parses a request to `/api/chat` or `/api/generate` and makes the neutral request of it. Knows no rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fakellm.apis.ollama.dialects import Route
from fakellm.apis.ollama.requests.body import ChatBody, GenerateBody, HistoryMessage, OfferedTool, typed
from fakellm.base.errors import RequestError
from fakellm.base.json_text import dumps
from fakellm.model.request import AllowedCalls, JsonOutput, Message, PastCall, Request, Tool

_OPTIONS: dict[str, tuple[tuple[type, ...], str]] = {
    "num_predict": ((int, float), "of type integer"),
    "seed": ((int, float), "of type integer"),
    "num_ctx": ((int, float), "of type integer"),
    "top_k": ((int, float), "of type integer"),
    "temperature": ((int, float), "of type float32"),
    "top_p": ((int, float), "of type float32"),
    "stop": ((list,), "of type array"),
}
"""The options whose type is checked, and Ollama's words for that type; it ignores unknown options."""


def parse(data: bytes, headers: Mapping[str, str], url: str) -> Request:
    """The request in a body. `url` tells the two routes apart; without one, the body does.

    Raises RequestError for a body that Ollama refuses.
    """
    generate = "/generate" in url or (not url and b'"messages"' not in data)
    if generate:
        body, sent = typed(data, GenerateBody, "GenerateRequest")
        prompt = (body.prompt or "") + (body.suffix or "")
        system = (Message("system", body.system),) if body.system else ()
        messages = (*system, Message("user", prompt)) if prompt else ()
        if body.raw and (body.template or body.system or body.context):
            raise RequestError(400, "raw mode does not support template, system, or context", None, "raw")
        return _neutral(body, sent, "generate", headers, messages, ())
    chat, sent = typed(data, ChatBody, "ChatRequest")
    return _neutral(chat, sent, "chat", headers, tuple(_messages(chat.messages or ())), tuple(_tools(chat.tools or ())))


def route_of(request: Request) -> Route:
    """The route of a request that `parse` returned."""
    return "generate" if request.target == "generate" else "chat"


def loads(request: Request) -> str | None:
    """Why a request gets no reply of the model: without a prompt, it only loads the model, or unloads it."""
    if request.messages:
        return None
    return "unload" if request.body.get("keep_alive") in (0, "0", "0s", "0m") else "load"


def _neutral(
    body: ChatBody | GenerateBody,
    sent: dict[str, Any],
    route: Route,
    headers: Mapping[str, str],
    messages: tuple[Message, ...],
    tools: tuple[Tool, ...],
) -> Request:
    if not body.model:
        raise RequestError(400, "model is required", None, "model")
    if body.top_logprobs is not None and not 0 <= body.top_logprobs <= 20:
        raise RequestError(400, "top_logprobs must be between 0 and 20", None, "top_logprobs")
    options = body.options or {}
    _check_options(options)
    output = _output(body.format)
    named: tuple[str, ...] = ("text",)
    if output:
        named = ("json_object",) if output.schema is None else ("json_schema", output.name)
    limit = options.get("num_predict")
    request = Request(
        api="ollama",
        target="generate" if route == "generate" else "",
        model=body.model,
        messages=messages,
        body=sent,
        headers=headers,
        stream=body.stream is not False and bool(messages),  # what only loads a model gets a body in any case
        wants_usage=True,
        max_tokens=int(limit) if limit is not None and limit > 0 else None,
        top_logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        stop=tuple(options.get("stop") or ()),
        effort=_effort(body.think),
        offered=tools,
        tool_choice="auto" if tools else "none",
        allowed_calls=AllowedCalls(tuple(tool.name for tool in tools)),
        response_format=named,
        output=output,
    )
    try:
        request.digest  # noqa: B018 # computed here, where a body that is too deep for it can still be refused
    except RecursionError:
        raise RequestError(400, "exceeded max depth", None) from None
    return request


def _check_options(options: Mapping[str, Any]) -> None:
    """Raises RequestError for an option of the wrong type. Ollama answers 500, because it only notices when it loads
    the model."""
    for name, (types, kind) in _OPTIONS.items():
        value = options.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, types)):
            raise RequestError(500, f'option "{name}" must be {kind}', None, f"options.{name}")
    if any(not isinstance(each, str) for each in options.get("stop") or ()):
        raise RequestError(500, 'option "stop" must be of an array of strings', None, "options.stop")


def _output(format_: dict[str, Any] | str | None) -> JsonOutput | None:
    """The JSON that the reply must be."""
    if not format_:
        return None
    if isinstance(format_, dict):
        return JsonOutput(format_, str(format_.get("title") or ""), "format")
    if format_ != "json":
        message = f'invalid format: "\\"{format_}\\""; expected "json" or a valid JSON Schema object'
        raise RequestError(500, message, None, "format")
    return JsonOutput(None, "", "format")


def _effort(think: bool | str | None) -> str | None:
    """How much the model is to think. Ollama knows three words besides yes and no."""
    if isinstance(think, bool):
        return "medium" if think else "none"
    if think is not None and think not in ("high", "medium", "low"):
        message = f'invalid think value: "{think}" (must be "high", "medium", "low", true, or false)'
        raise RequestError(400, message, None, "think")
    return think


def _messages(sent: Iterable[HistoryMessage]) -> Iterator[Message]:
    """The messages. A result that names neither its call nor its tool belongs to the next call without one."""
    waiting: list[PastCall] = []
    for number, each in enumerate(sent):
        role = (each.role or "").lower()
        if role != "tool":
            calls = tuple(
                PastCall(
                    call.id or f"call {number}.{place}", call.function.name or "", _arguments(call.function.arguments)
                )
                for place, call in enumerate(each.tool_calls or ())
                if call.function
            )
            waiting = list(calls) or waiting
            yield Message(role, each.content or "", calls)
            continue
        named = [
            call for call in waiting if each.tool_call_id in (None, call.id) and each.tool_name in (None, call.name)
        ]
        if named:
            waiting.remove(named[0])
        result_of = each.tool_call_id or (named[0].id if named else each.tool_name)
        yield Message(role, each.content or "", (), result_of, each.tool_name or (named[0].name if named else None))


def _arguments(value: dict[str, Any] | str | None) -> str:
    return value if isinstance(value, str) else dumps(value or {})


def _tools(sent: Iterable[OfferedTool]) -> Iterator[Tool]:
    for number, tool in enumerate(sent):
        if tool.function and tool.function.name:
            yield Tool(tool.function.name, "function", tool.function.parameters, f"tools[{number}].function.parameters")
