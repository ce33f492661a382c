"""Parses the body of `POST /v1/messages` and makes the neutral request of it. Knows no rules.

https://platform.claude.com/docs/en/api/messages/create
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from fakellm.apis.messages.http.urls import MessagesUrl
from fakellm.apis.messages.requests import body as bodies
from fakellm.apis.messages.requests import rules
from fakellm.apis.messages.requests.checks import Check, invalid
from fakellm.apis.messages.requests.described_constraints import restored
from fakellm.apis.messages.requests.rules import blocks_of, refused
from fakellm.base.json_text import dumps
from fakellm.model.request import AllowedCalls, JsonOutput, Message, PastCall, Request, Tool, formats

_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_BUDGETS = ((2_048, "minimal"), (4_096, "low"), (16_384, "medium"), (32_768, "high"))
"""The effort that a budget of thinking tokens stands for, up to which budget."""


def parse(data: bytes, headers: Mapping[str, str], url: MessagesUrl) -> Request:
    """The request in an HTTP body. Raises RequestError, in Anthropic's words, for one that is not valid."""
    body = read_body(data, url, bodies.CREATE)
    messages = tuple(_messages(body))
    offered, output = tuple(_offered(body)), _output(body)
    request = Request(
        model=body["model"],
        messages=messages,
        body=body,
        api="messages",
        target=f"{url.dialect} {url.model}" if url.dialect else "",
        headers=headers,
        chat=url,
        stream=bool(body.get("stream")) if url.stream is None else url.stream,
        wants_usage=True,
        max_tokens=body["max_tokens"],
        stop=tuple(body.get("stop_sequences") or ()),
        effort=_effort(body),
        offered=offered,
        tool_choice=_tool_choice(body),
        allowed_calls=_allowed_calls(body, offered),
        response_format=formats(output),
        output=output,
    )
    try:
        request.digest  # noqa: B018 # computed here, where a body that is too deep for it can still be refused
    except RecursionError:
        raise refused("The request body is nested too deeply") from None
    return request


def texts_in(body: dict[str, Any]) -> list[str]:
    """The text of each message of a checked body, the system's included."""
    return [message.text for message in _messages(body)]


def read_body(data: bytes, url: MessagesUrl, check: Check) -> dict[str, Any]:
    """The JSON body of a request, checked, with the model of the URL. Raises RequestError."""
    if url.binary:
        raise refused("Streams of AWS's binary event stream are not served: use /model/{id}/invoke, or /v1/messages")
    body = _json(data)
    if url.model is not None:
        body = {"model": url.model, **{key: value for key, value in body.items() if key != "model"}}
    try:
        check(body, "")
        rules.check(body)
    except RecursionError:
        raise refused("The request body is nested too deeply") from None
    if not body["model"]:
        raise invalid("model", "String should have at least 1 character")
    return body


def _json(data: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        body = _any_json(data)
    if not isinstance(body, dict):
        raise refused("Input should be a valid dictionary")
    return body


def _any_json(data: bytes) -> Any:
    """The value of any JSON that Python reads, but at less than half of the speed."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not valid JSON")

    try:
        return json.loads(data.decode("utf-8"), parse_constant=refuse)
    except RecursionError:
        raise refused("The request body is nested too deeply") from None
    except ValueError as error:
        raise refused(f"The request body is not valid JSON: {error}") from None


def _messages(body: dict[str, Any]) -> Iterator[Message]:
    """The messages of the conversation: the system's first, and each result of a tool as a message of its own."""
    if body.get("system"):
        yield Message("system", _text(blocks_of({"content": body["system"]})))
    for message in body["messages"]:
        content = blocks_of(message)
        for block in content:
            if block["type"] == "tool_result":
                inner = block.get("content", "")
                yield Message("tool", _text(blocks_of({"content": inner})), result_of=block["tool_use_id"])
        calls = tuple(
            PastCall(block["id"], block["name"], dumps(block["input"]))
            for block in content
            if block["type"] == "tool_use"
        )
        rest = [block for block in content if block["type"] != "tool_result"]
        if rest or len(content) == 0:
            yield Message(message["role"], _text(rest), calls)


def _text(blocks: list[dict[str, Any]]) -> str:
    return "".join(
        block["text"] for block in blocks if block.get("type") == "text" and isinstance(block.get("text"), str)
    )


def _offered(body: dict[str, Any]) -> Iterator[Tool]:
    """The tools that the client runs. Anthropic runs its own, such as a web search."""
    for number, tool in enumerate(body.get("tools") or ()):
        if tool.get("type") in (None, "custom"):
            yield Tool(tool["name"], "function", tool["input_schema"], f"tools.{number}.custom.input_schema")


def _tool_choice(body: dict[str, Any]) -> str:
    choice = body.get("tool_choice")
    if choice is None:
        return "auto" if body.get("tools") else "none"
    return str(choice["name"]) if choice["type"] == "tool" else _CHOICES[choice["type"]]


def _allowed_calls(body: dict[str, Any], offered: tuple[Tool, ...]) -> AllowedCalls:
    choice = body.get("tool_choice") or {"type": "auto"}
    names = tuple(tool.name for tool in offered)
    parallel = not choice.get("disable_parallel_tool_use")
    if choice["type"] == "tool":
        named = tuple(name for name in names if name == choice["name"])
        return AllowedCalls(named, required=bool(named), named=True, parallel=parallel)
    if choice["type"] == "none":
        return AllowedCalls()
    return AllowedCalls(names, required=choice["type"] == "any" and bool(names), parallel=parallel)


def _effort(body: dict[str, Any]) -> str | None:
    """How much the model is to think; None if it is not to."""
    thinking = body.get("thinking") or {"type": "disabled"}
    if thinking["type"] == "disabled":
        return None
    if thinking["type"] == "enabled":
        return next((effort for most, effort in _BUDGETS if thinking["budget_tokens"] <= most), "xhigh")
    return str((body.get("output_config") or {}).get("effort") or "high")


def _output(body: dict[str, Any]) -> JsonOutput | None:
    """The JSON that the request requires. https://platform.claude.com/docs/en/build-with-claude/structured-outputs"""
    place, found = "output_config.format", (body.get("output_config") or {}).get("format")
    if found is None:
        place, found = "output_format", body.get("output_format")
    if found is None:
        return None
    if not isinstance(found, dict) or found.get("type") != "json_schema":
        raise invalid(f"{place}.type", "Input should be 'json_schema'")
    if not isinstance(found.get("schema"), dict):
        raise invalid(f"{place}.schema", "Field required")
    try:
        schema = restored(found["schema"])
    except RecursionError:
        raise refused("The request body is nested too deeply") from None
    return JsonOutput(schema, "", f"{place}.schema")
