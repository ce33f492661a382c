"""A request to a model, in terms that every API shares: messages, tools, limits, and the body as it was sent.

An API's parser builds it; matching, templates and generated replies read it. Knows no API's JSON and no rules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from fakellm.base.errors import RequestError
from fakellm.base.words.missing import missing


class PastCall(Struct, frozen=True):
    """A tool call that the assistant made earlier in the conversation. `arguments` is the text that was sent."""

    id: str
    name: str
    arguments: str = ""


class Message(Struct, frozen=True):
    """One message of the conversation.

    text: the content as one text, whether it was sent as a string or as parts.
    calls: the tool calls of an assistant's message.
    result_of: the id of the call that this message answers.
    name: the name that the message carries; in a result, that of the tool.
    """

    role: str
    text: str = ""
    calls: tuple[PastCall, ...] = ()
    result_of: str | None = None
    name: str | None = None

    if not TYPE_CHECKING:  # a type checker would take any name for one that is there

        def __getattr__(self, name: str) -> object:
            raise missing("Message", name, self.__struct_fields__, _MEANT_OF_MESSAGE)

        def __getitem__(self, key: object) -> object:
            meant = _MEANT_OF_MESSAGE.get(key, f".{key}") if isinstance(key, str) else ".text"
            raise TypeError(f"a Message is not a dict: write {meant}")


_MEANT_OF_MESSAGE = {"content": ".text", "tool_calls": ".calls", "tool_call_id": ".result_of", "id": ".result_of"}
"""What is meant by the keys that a message has in the JSON of an API."""


class Tool(Struct, frozen=True):
    """A tool on offer.

    kind: `function` for one that is called with JSON, `custom` for one that is called with a text.
    parameters: the JSON Schema of its arguments or of its text, if one was sent.
    param: the path of that schema in the body, as errors name it.
    grammar: the notation of a grammar that its text must also follow, if texts cannot be generated from it: `lark`.
    """

    name: str
    kind: str = "function"
    parameters: dict[str, Any] | None = None
    param: str = "tools"
    grammar: str = ""


class AllowedCalls(Struct, frozen=True):
    """Which tools a reply may call.

    names: those tools, in the order in which they are on offer.
    required: whether at least one must be called.
    named: whether the request names the one tool to call.
    parallel: whether a reply may make more than one call.
    """

    names: tuple[str, ...] = ()
    required: bool = False
    named: bool = False
    parallel: bool = True


class JsonOutput(Struct, frozen=True):
    """The JSON that a reply's text must be.

    schema: its JSON Schema; None if any object is allowed.
    name: the name of the schema.
    param: the path of the schema in the body, as errors name it.
    bare: whether a text is sent without its quotes, as one of an enum is in some APIs.
    """

    schema: dict[str, Any] | None = None
    name: str = ""
    param: str = "response_format"
    bare: bool = False


class Request(Struct, frozen=True, dict=True, kw_only=True):
    """A parsed request. The function of a computed reply receives one.

    api: the name of the API to which it was sent, as in `when: {api: …}`.
    target: what identifies the request beside its body: a model or a mode in the URL.
    body: the JSON body as it was sent.
    headers: by name in lower case; only those that rules read, or all of them if a reply is computed.
    chat: the typed body of a request for a chat completion: `Chat` in `fakellm.apis.chat.requests.chat_body`.
    choices: how many alternative answers are requested.
    max_tokens: the most tokens that a choice may have, including its reasoning.
    stop: texts before which a generated text ends.
    effort: how much the model is to reason, as the API's word.
    top_logprobs: how many likely tokens are requested for each position; None if no log probabilities are requested.
    offered: the tools on offer. `tools` has their names.
    tool_choice: `none`, `auto`, `required`, the name of the tool that must be called, or another word that was sent;
        if the request sets none, `auto` with tools on offer, else `none`.
    allowed_calls: what that means for a generated reply.
    response_format: the type of the requested format, and the name of its schema if it has one.
    output: the JSON that is requested; None if any text is allowed.
    legacy_functions: whether calls are sent under the legacy key `function_call`.
    unusable: why no reply can be generated, if a parameter that scripted replies do not need is not valid.
    """

    model: str
    messages: tuple[Message, ...]
    body: dict[str, Any]
    api: str = ""
    target: str = ""
    headers: Mapping[str, str] = {}
    chat: Any = None
    stream: bool = False
    wants_usage: bool = False
    wants_obfuscation: bool = False
    choices: int = 1
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    effort: str | None = None
    top_logprobs: int | None = None
    offered: tuple[Tool, ...] = ()
    tool_choice: str = "none"
    allowed_calls: AllowedCalls = AllowedCalls()
    legacy_functions: bool = False
    response_format: tuple[str, ...] = ("text",)
    output: JsonOutput | None = None
    unusable: RequestError | None = None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            known = [each for each in dir(type(self)) if each[0] != "_"]
            raise missing("Request", name, known, {"json": ".body", "content": ".user", "text": ".user"})

        def __getitem__(self, key: object) -> object:
            raise TypeError(f"a Request is not a dict: write .body[{key!r}] for a value of its JSON")

    @cached_property
    def digest(self) -> str:
        """Identifies the request: equal for bodies that differ only in white space, key order or `stream`."""
        return digest(self.body, self.target)

    @cached_property
    def turn(self) -> int:
        """1 for the first reply of a conversation: the assistant's messages so far, plus one."""
        return 1 + sum(message.role == "assistant" for message in self.messages)

    @cached_property
    def user(self) -> str:
        """The text of the user's last message; empty if there is none."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The text of each message."""
        return tuple(message.text for message in self.messages)

    @cached_property
    def system(self) -> str:
        """The texts of the system's and the developer's messages, joined by line feeds."""
        return "\n".join(message.text for message in self.messages if message.role in ("system", "developer"))

    @cached_property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools on offer."""
        return tuple(tool.name for tool in self.offered)

    @cached_property
    def results(self) -> dict[str, str]:
        """The results of tools, by the id of the call and by the name of the tool; of several results the last."""
        names = {call.id: call.name for message in self.messages for call in message.calls}
        found: dict[str, str] = {}
        for message in self.messages:
            if message.role == "tool" and message.result_of:
                found[message.result_of] = message.text
                found[message.name or names.get(message.result_of, message.result_of)] = message.text
            elif message.role == "function" and message.name:
                found[message.name] = message.text
        return found

    @cached_property
    def arguments(self) -> dict[str, str]:
        """The arguments of the assistant's tool calls so far, by the name of the tool; of several calls the last."""
        return {call.name: call.arguments for message in self.messages for call in message.calls}


def formats(output: JsonOutput | None) -> tuple[str, ...]:
    """The requested format, as `response_format` has it. A schema that is sent without a name has its title."""
    if output is None:
        return ("text",)
    if output.schema is None:
        return ("json_object",)
    title = output.name or output.schema.get("title")
    return ("json_schema", title) if isinstance(title, str) and title else ("json_schema",)


def digest(body: dict[str, Any], target: str = "") -> str:
    """The digest of a request's body: see `Request.digest`."""
    identifying = {key: value for key, value in body.items() if key not in ("stream", "stream_options")}
    try:
        text = msgspec.json.encode(identifying, order="sorted")
    except (ValueError, OverflowError, RecursionError):  # a lone surrogate, an integer of more than 64 bits
        text = json.dumps(identifying, sort_keys=True).encode()
    return blake2b(text + target.encode(), digest_size=16).hexdigest()
