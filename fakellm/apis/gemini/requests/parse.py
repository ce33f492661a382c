"""Parses the body of `generateContent` and makes the neutral request of it. Knows no rules.

Problems are reported as Google words them: all unknown names and wrong types at once, then the first missing part.
https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain, groupby
from typing import Any

from msgspec import Struct

from fakellm.apis.gemini.requests.fields import DATA, REQUEST
from fakellm.apis.gemini.requests.proto import Reader
from fakellm.apis.gemini.requests.schema import json_schema
from fakellm.apis.gemini.urls import Mode, mode
from fakellm.apis.gemini.words import NAME
from fakellm.base.errors import RequestError
from fakellm.base.json_text import dumps
from fakellm.model.request import AllowedCalls, JsonOutput, Message, PastCall, Request, Tool, formats

ROLES = ("user", "model", "function")
_MOST_CANDIDATES, _MOST_LOGPROBS = 8, 20
_ENUM = "text/x.enum"
_LEVELS = {"MINIMAL": "minimal", "LOW": "low", "MEDIUM": "medium", "HIGH": "high", "XHIGH": "xhigh"}


class GeminiCall(Struct, frozen=True):
    """What a request states: in its URL, and in its body by the names in camelCase."""

    mode: Mode
    fields: dict[str, Any]

    @property
    def config(self) -> dict[str, Any]:
        """Its `generationConfig`."""
        found: dict[str, Any] = self.fields.get("generationConfig", {})
        return found

    @property
    def stream_args(self) -> bool:
        """Whether the arguments of function calls are to be streamed."""
        calling = self.fields.get("toolConfig", {}).get("functionCallingConfig", {})
        return bool(calling.get("streamFunctionCallArguments"))

    @property
    def thoughts(self) -> bool:
        """Whether the thoughts of the model are requested."""
        return bool(self.config.get("thinkingConfig", {}).get("includeThoughts"))


def parse(data: bytes, headers: Mapping[str, str], url: str) -> Request:
    """The request. Raises RequestError for one that Google refuses."""
    body = json_object(data)
    call = GeminiCall(mode(url), fields_of(body, REQUEST))
    _check_contents(call.fields.get("contents") or [], call.mode.vertex)
    return neutral(call, body, headers)


def json_object(data: bytes) -> dict[str, Any]:
    """The object in a body; an empty body is an empty object, as Google reads it."""
    try:
        body = json.loads(data.decode("utf-8") or "{}", parse_constant=_refused)
    except RecursionError:
        raise invalid("Invalid JSON payload received. Nesting too deep.") from None
    except ValueError as error:
        raise invalid(f"Invalid JSON payload received. Unexpected token. {error}.") from None
    if not isinstance(body, dict):
        raise invalid("Invalid JSON payload received. Expected an object at the root.")
    return body


def fields_of(body: dict[str, Any], name: str) -> dict[str, Any]:
    """The fields of a message. Raises RequestError with a line for each problem."""
    reader = Reader()
    try:
        fields = reader.message(body, name)
    except RecursionError:
        raise invalid("Invalid JSON payload received. Nesting too deep.") from None
    if reader.problems:
        raise invalid("\n".join(reader.problems))
    return fields


def invalid(message: str, param: str | None = None) -> RequestError:
    """The refusal of a request."""
    return RequestError(400, message, "INVALID_ARGUMENT", param)


def _refused(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check_contents(contents: list[dict[str, Any]], vertex: bool) -> None:
    """Raises RequestError for the first content that is not one."""
    if not contents:
        if vertex:
            raise invalid(
                "Unable to submit request because at least one contents field is required. Learn more: "
                "https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/gemini",
                "contents",
            )
        raise invalid("* GenerateContentRequest.contents: contents is not specified\n", "contents")
    for number, content in enumerate(contents):
        place = f"contents[{number}]"
        if content.get("role", "user") not in ROLES:
            raise invalid("Please use a valid role: user, model.", f"{place}.role")
        if not content.get("parts"):
            raise invalid(f"* GenerateContentRequest.{place}.parts: contents.parts must not be empty.\n", place)
        for index, part in enumerate(content["parts"]):
            if part.keys().isdisjoint(DATA):
                where = f"{place}.parts[{index}].data"
                problem = "required oneof field 'data' must have one initialized field"
                raise invalid(f"* GenerateContentRequest.{where}: {problem}\n", where)


def neutral(call: GeminiCall, body: dict[str, Any], headers: Mapping[str, str]) -> Request:
    """The request of a body that was read."""
    config = call.config
    offered = tuple(_offered(call.fields.get("tools", ())))
    count = _within(config.get("candidateCount", 1), 1, _MOST_CANDIDATES, "candidate_count")
    likely = _within(config.get("logprobs", 0), 0, _MOST_LOGPROBS, "logprobs")
    output = _output(config)
    choice, allowed = _tool_choice(call.fields.get("toolConfig", {}).get("functionCallingConfig", {}), offered)
    request = Request(
        model=call.mode.model or body.get("model") or "",
        messages=tuple(messages(call.fields)),
        api=NAME,
        target=call.mode.model,
        body=body,
        headers=headers,
        chat=call,
        stream=call.mode.stream,
        wants_usage=True,
        choices=count,
        max_tokens=config.get("maxOutputTokens") or None,
        stop=tuple(config.get("stopSequences", ())),
        top_logprobs=likely if config.get("responseLogprobs") else None,
        effort=_effort(config.get("thinkingConfig", {})),
        offered=offered,
        tool_choice=choice,
        allowed_calls=allowed,
        response_format=formats(output),
        output=output,
    )
    try:
        request.digest  # noqa: B018 # computed here, where a body that is too deep for it can still be refused
    except RecursionError:
        raise invalid("Invalid JSON payload received. Nesting too deep.") from None
    return request


def _within(number: int, least: int, most: int, name: str) -> int:
    """The number. Raises RequestError if it is outside its range."""
    if not least <= number <= most:
        problem = f"{name} must be between {least} and {most}, got {str(number)[:20]}"
        raise invalid(f"* GenerateContentRequest.generation_config.{name}: {problem}\n", name)
    return number


def messages(fields: dict[str, Any]) -> Iterator[Message]:
    """The messages of a conversation, the system's first."""
    system = fields.get("systemInstruction")
    if system:
        yield Message("system", text_of(system.get("parts", ())))
    for role, contents in groupby(fields.get("contents", ()), lambda content: content.get("role", "user")):
        lists = [content.get("parts") or [] for content in contents]
        # Of a stream, Google's SDKs send back each chunk as a content: together, these are one turn of the model.
        for parts in [list(chain(*lists))] if role == "model" else lists:
            yield from _message(role, parts)


def _message(role: str, parts: list[dict[str, Any]]) -> Iterator[Message]:
    """The messages of a content: one for each function response in it, and one for the rest."""
    for part in parts:
        if "functionResponse" in part:
            found = part["functionResponse"]
            name = found.get("name", "")
            yield Message("tool", _result(found.get("response")), (), found.get("id") or name, name)
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    past = tuple(PastCall(call.get("id", ""), call.get("name", ""), dumps(call.get("args", {}))) for call in calls)
    if past or not all("functionResponse" in part for part in parts):
        yield Message("assistant" if role == "model" else "user", text_of(parts), past)


def text_of(parts: Any) -> str:
    """The texts of parts, without thoughts."""
    return "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))


def _result(response: Any) -> str:
    """The result of a function as text; SDKs put it under `result` or `output`."""
    if isinstance(response, dict) and len(response) == 1 and (key := next(iter(response))) in ("result", "output"):
        response = response[key]
    return response if isinstance(response, str) else dumps(response)


def _offered(tools: Any) -> Iterator[Tool]:
    for number, tool in enumerate(tools):
        for index, each in enumerate(tool.get("functionDeclarations", ())):
            place = f"tools[{number}].function_declarations[{index}].parameters"
            schema = each.get("parametersJsonSchema")
            if schema is None and "parameters" in each:
                schema = json_schema(each["parameters"])
            yield Tool(each.get("name", ""), "function", schema if isinstance(schema, dict) else None, place)


def _tool_choice(config: dict[str, Any], offered: tuple[Tool, ...]) -> tuple[str, AllowedCalls]:
    mode = config.get("mode", "AUTO")
    names = tuple(tool.name for tool in offered)
    if not names or mode == "NONE":
        return "none", AllowedCalls()
    allowed = tuple(config.get("allowedFunctionNames", ())) or names
    for name in allowed:
        if name not in names:
            raise invalid(
                f"* GenerateContentRequest.tool_config.function_calling_config.allowed_function_names: {name} is not "
                "one of the function declarations\n",
                "toolConfig",
            )
    names = tuple(name for name in names if name in allowed)
    if mode != "ANY":
        return "auto", AllowedCalls(names)
    named = len(names) == 1
    return names[0] if named else "required", AllowedCalls(names, required=True, named=named)


def _output(config: dict[str, Any]) -> JsonOutput | None:
    kind = config.get("responseMimeType")
    if kind not in ("application/json", _ENUM) and "responseJsonSchema" not in config:
        return None
    schema = config.get("responseJsonSchema")
    if schema is None and "responseSchema" in config:
        schema = json_schema(config["responseSchema"])
    found = schema if isinstance(schema, dict) else None
    return JsonOutput(found, param="generation_config.response_schema", bare=kind == _ENUM)


def _effort(config: dict[str, Any]) -> str | None:
    """How much to think: a level, or a number of tokens; -1 leaves it to the model."""
    if config.get("thinkingLevel") in _LEVELS:
        return _LEVELS[config["thinkingLevel"]]
    budget = config.get("thinkingBudget")
    if budget is None:
        return "medium" if config.get("includeThoughts") else None
    if budget <= 0:
        return "none" if budget == 0 else "medium"
    return next((word for most, word in ((1024, "low"), (8192, "medium")) if budget <= most), "high")
