"""Makes replies of the values that a test in Python has at hand: texts, data, models, tool calls, functions.

Owns which values can be written for a reply, and how data becomes JSON. Knows no rule.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, Never, Protocol

import msgspec
from msgspec import Struct

from fakellm.base.errors import ScenarioError
from fakellm.base.json_text import dumps
from fakellm.base.validation import shortened
from fakellm.base.words.near_miss import near_miss
from fakellm.faults.base import Base
from fakellm.model.request import Request
from fakellm.scenarios.matching import When
from fakellm.scenarios.mistakes.at_the_call import at_the_call
from fakellm.scenarios.mistakes.misplaced import call_of_condition, call_of_keyword
from fakellm.scenarios.reply import Call, Computed, Reply


class Dataclass(Protocol):
    """An instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class Model(Protocol):
    """An instance of a pydantic model."""

    def model_dump_json(self, *, by_alias: bool = ...) -> str: ...


Content = str | Reply | Call | Sequence[Call] | Mapping[str, Any] | Dataclass | Model | Struct
"""What a reply can be written as: a text, a Reply, one or several tool calls, or data that is sent as JSON."""

ReplyValue = Content | Callable[[Request], Content | Awaitable[Content]]
"""A content, or a function of the request that returns one, async or not."""

EXPECTED = "a text, data to send as JSON (a dict, pydantic model or dataclass), a Call, a list of Calls or a Reply"


@at_the_call
def call(function: str, /, *more: Never, **arguments: Any) -> Call:
    """A call of this function with these arguments, to reply with: ``reply(call("add", a=2))``. For an id, or arguments
    as text, build a `Call`."""
    __tracebackhide__ = True  # of pytest
    return call_with("call", function, more, arguments)


def call_with(name: str, function: str, more: tuple[object, ...], arguments: dict[str, Any]) -> Call:
    """A call of this function. `more`: what follows the function in the call `name`; raises ScenarioError if there is
    any."""
    __tracebackhide__ = True
    if not more:
        return Call(function, arguments)
    values = more[0] if isinstance(more[0], dict) else {}
    named = bool(values) and all(isinstance(key, str) and key.isidentifier() for key in values)
    shown = ", ".join(f"{key}={shortened(value)}" for key, value in values.items()) if named else "argument=value"
    remedy = f"write {name}({function!r}, {shown})"
    raise ScenarioError([f"{name}: the arguments of {shortened(function)} are passed by name: {remedy}"])


def reply_of_content(content: object, **fields: Any) -> Reply | None:
    """The reply with this content, and with other fields of `Reply`. None if the value cannot be written for a reply.

    Data becomes compact JSON; a pydantic model uses its aliases. Raises ScenarioError for data that JSON does not have.
    """
    if isinstance(content, Reply):
        return content
    if isinstance(content, str):
        return Reply(content=content, **fields)
    if isinstance(content, Call):
        return Reply(tool_calls=(content,), **fields)
    if isinstance(content, (list, tuple)):
        calls = bool(content) and all(isinstance(each, Call) for each in content)
        return Reply(tool_calls=tuple(content), **fields) if calls else None
    return Reply(content=_json(content), **fields) if _is_data(content) else None


def python_reply(value: object, name: str, fields: dict[str, Any]) -> Reply:
    """The reply that a value stands for, which may be a function. Raises ScenarioError; `name` is that of the call."""
    check_fields(Reply, fields, name)
    if "content" in fields:
        if value != "":
            raise ScenarioError([f"{name}: the first argument is the content already; leave out 'content'"])
        value = fields.pop("content")
    if fields and (isinstance(value, Reply) or _is_function(value)):
        raise ScenarioError([f"{name}: {', '.join(fields)} beside a whole reply; set it in that reply"])
    if _is_function(value):
        return Computed(function=value)  # type: ignore[arg-type]
    found = reply_of_content(value, **fields)
    if found is None:
        hint = "; pass an instance of it" if isinstance(value, type) else ""
        hint = "; pass the function itself, without calling it" if inspect.isawaitable(value) else hint
        hint = "; a fault goes into .fault(…) or .script(…)" if isinstance(value, Base) else hint
        if isinstance(value, (list, tuple)):
            numbers = bool(value) and all(isinstance(each, (int, float)) for each in value)
            hint = "; several replies are arguments of script(…), without a list"
            hint = "; embeddings are always made from their input, and cannot be scripted" if numbers else hint
        message = f"expected {EXPECTED}, or a function of the request, got {shortened(value)}{hint}"
        raise ScenarioError([f"{name}: {message}"])
    return found


def check_fields(kind: type[Struct], fields: Mapping[str, Any], name: str, *others: str) -> None:
    """Raises ScenarioError for a keyword that is not a field of a type, nor one of `others`."""
    allowed = [*others, *kind.__struct_fields__]
    wrong = [key for key in fields if key not in allowed]
    if wrong:
        hint = call_of_condition(wrong[0]) if kind is When and (wrong[0] != "content" or name != "on(…)") else ""
        if not hint and name.startswith("on("):
            hint = call_of_keyword(wrong[0], allowed)
        hint = hint or near_miss(wrong[0], allowed)
        if kind is When and not hint:
            hint = f"; any other value of the request is one of its body: body={{{wrong[0]!r}: …}}"
        known = f"allowed here: {', '.join(allowed)}{hint}"
        raise ScenarioError([f"{name}: unknown key {wrong[0]!r}; {known}"])


def _is_function(value: object) -> bool:
    return callable(value) and not isinstance(value, type) and not _is_data(value)


def _is_data(value: object) -> bool:
    if isinstance(value, type) or type(value).__module__.startswith("fakellm."):  # such as a fault
        return False
    return isinstance(value, (Mapping, Struct)) or dataclasses.is_dataclass(value) or hasattr(value, "model_dump_json")


def _json(value: object) -> str:
    if isinstance(value, Mapping) and value.get("role") == "assistant" and {"content", "tool_calls"} & value.keys():
        remedy = f"write .reply({shortened(value.get('content') or 'Hello')}), and calls as fakellm.call('add', a=1)"
        raise ScenarioError([f"reply: this is a whole message, not the content of one: {remedy}"])
    if isinstance(value, Mapping) and _is_response(value):
        remedy = 'write .reply("Hello"), or fakellm.Reply(…) for its other fields'
        raise ScenarioError([f"reply: this is a whole response, not the content of one: {remedy}"])
    if not isinstance(value, (Mapping, Struct)) and hasattr(value, "model_dump_json"):
        return str(value.model_dump_json(by_alias=True))
    try:
        data = msgspec.to_builtins(dict(value) if isinstance(value, Mapping) else value, str_keys=True, enc_hook=_model)
        json.dumps(data, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ScenarioError([f"reply: {shortened(value)} cannot be sent as JSON: {error}"]) from None
    return dumps(data)


def _is_response(data: Mapping[Any, Any]) -> bool:
    """Whether data is a response or a chunk of OpenAI's API."""
    choices = data.get("choices")
    items = choices if isinstance(choices, (list, tuple)) else ()
    return any(isinstance(each, Mapping) and ("message" in each or "delta" in each) for each in items)


def _model(value: object) -> Any:
    """A model within other data."""
    if hasattr(value, "model_dump_json"):
        return json.loads(value.model_dump_json(by_alias=True))
    raise TypeError(f"{type(value).__name__} is not a type of JSON")
