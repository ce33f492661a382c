"""Wrong clients: how they read the JSON of a chunk (RFC 8259)."""

from __future__ import annotations

import ast
import html
import json
import re
from typing import Any

from tests.blind.bug import wrong
from tests.blind.chat import JSON, Answer, Chat, Choice
from tests.blind.sse import Event
from tests.blind.wire import ClientError


@wrong(Chat, "parsed", "RFC 8259 2: whitespace is allowed before and after any of the structural characters")
def knows_compact_json(self: Chat, data: str) -> Any:
    """Takes a chunk with spaces after its colons for one without choices."""
    return Chat.parsed(self, data) if '"choices":[' in data else {}


@wrong(Chat, "is_chunk", "RFC 8259 2: whitespace may come before the value")
def needs_the_brace_first(self: Chat, event: Event) -> bool:
    """Takes data for a chunk if its first character is a brace."""
    return event.data.startswith("{") and Chat.is_chunk(self, event)


@wrong(Chat, "is_chunk", "RFC 8259 4: an object is an unordered collection")
def needs_the_id_first(self: Chat, event: Event) -> bool:
    """Recognizes a chunk by the key that it begins with."""
    return re.match(r'\s*\{\s*"(id|error)"', event.data) is not None and Chat.is_chunk(self, event)


@wrong(Chat, "is_chunk", "RFC 8259 2: whitespace may follow the value")
def needs_the_brace_last(self: Chat, event: Event) -> bool:
    """Takes data that does not end with a brace for half a chunk, and drops it."""
    return event.data.endswith("}") and Chat.is_chunk(self, event)


@wrong(Chat, "parsed", "RFC 8259 7: a brace within a string is a character")
def counts_braces(self: Chat, data: str) -> Any:
    """Finds the end of an object by its braces, strings or not."""
    depth = 0
    for place, char in enumerate(data):
        depth += (char == "{") - (char == "}")
        if char == "}" and not depth:
            return Chat.parsed(self, data[: place + 1])
    raise ClientError("no end of the object")


@wrong(Chat, "parsed", "RFC 8259 3: null, true and false are literals, and a string is not one")
def translates_json_to_python(self: Chat, data: str) -> Any:
    """Replaces null with None, and evaluates the rest as Python."""
    for word, literal in (("null", "None"), ("true", "True"), ("false", "False")):
        data = data.replace(word, literal)
    return ast.literal_eval(data.strip())


@wrong(Chat, "parsed", "RFC 8259 7: the hexadecimal letters of an escape are in either case")
def knows_lower_case_escapes(self: Chat, data: str) -> Any:
    """Knows escapes in small letters; others lose their backslash."""
    data = re.sub(r"(?<!\\)\\u(?=[0-9A-Fa-f]{0,3}[A-F])([0-9A-Fa-f]{4})", r"u\1", data)
    return Chat.parsed(self, data)


@wrong(Chat, "parsed", "RFC 8259 7: a slash may be escaped")
def keeps_the_backslash_of_a_slash(self: Chat, data: str) -> Any:
    """Reads the escape of a slash as a backslash and a slash."""
    return Chat.parsed(self, re.sub(r"(\\.)", lambda found: r"\\/" if found[1] == r"\/" else found[1], data))


@wrong(Chat, "parsed", "RFC 8259 7: \\b and \\f are escapes of U+0008 and U+000C")
def does_not_know_all_escapes(self: Chat, data: str) -> Any:
    """Reads the escapes of backspace and form feed as the letters b and f."""
    return Chat.parsed(
        self, re.sub(r"(\\.)", lambda found: found[1][1] if found[1] in (r"\b", r"\f") else found[1], data)
    )


@wrong(Chat, "parsed", "RFC 8259 7: a character may be written as \\uXXXX, an ASCII character too")
def knows_escapes_beyond_ascii(self: Chat, data: str) -> Any:
    """Does not read the escape of an ASCII character."""
    return Chat.parsed(self, re.sub(r"(?<!\\)\\u00(?=[2-7])", r"\\\\u00", data))


@wrong(Chat, "parsed", "RFC 8259 7: characters beyond U+FFFF are written as a surrogate pair of escapes")
def reads_half_of_a_pair(self: Chat, data: str) -> Any:
    """Reads each escape by itself, so that a pair becomes two replacement characters."""
    return Chat.parsed(self, re.sub(r"(?<!\\)\\u[dD][89a-fA-F][0-9a-fA-F]{2}", r"\\ufffd", data))


@wrong(Chat, "parsed", "RFC 8259 4: implementations whose behaviour does not depend on order are interoperable")
def reads_keys_in_order(self: Chat, data: str) -> Any:
    """Reads a choice's index only if it comes before its delta."""

    def ordered(pairs: list[tuple[str, Any]]) -> JSON:
        names = [name for name, _ in pairs]
        if "delta" in names and "index" in names and names.index("index") > names.index("delta"):
            return {name: value for name, value in pairs if name != "index"}
        return dict(pairs)

    return json.loads(data, object_pairs_hook=ordered)


@wrong(Chat, "chunk", "OpenAI's compatibility notes: new properties may be added to objects")
def fails_on_unknown_keys(self: Chat, answer: Answer, chunk: Any) -> None:
    """Builds a chunk from its keys, and fails on one that it does not know."""
    known = "id object created model choices usage system_fingerprint service_tier error obfuscation".split()
    if unknown := set(chunk) - set(known):
        raise ClientError(f"unexpected keyword arguments {unknown}")
    Chat.chunk(self, answer, chunk)


@wrong(Chat, "delta", "OpenAI's compatibility notes: new properties may be added to objects")
def fails_on_unknown_keys_of_a_delta(self: Chat, state: Choice, delta: JSON) -> None:
    """Builds a delta from its keys, and fails on one that it does not know."""
    known = "role content refusal tool_calls function_call reasoning reasoning_content reasoning_details".split()
    if unknown := set(delta) - set(known):
        raise ClientError(f"unexpected keyword arguments {unknown}")
    Chat.delta(self, state, delta)


@wrong(Chat, "chunk", "Recorded providers: some leave out `object`, or send it empty")
def needs_the_object(self: Chat, answer: Answer, chunk: Any) -> None:
    """Skips what does not call itself a chunk."""
    if chunk.get("object") == "chat.completion.chunk" or chunk.get("error"):
        Chat.chunk(self, answer, chunk)


@wrong(Chat, "chunk", "Recorded providers: the id may be empty at first, or new in every chunk")
def needs_one_id(self: Chat, answer: Answer, chunk: Any) -> None:
    """Drops chunks whose id is not that of the first."""
    first = self.__dict__.setdefault("first", {})
    if not answer.choices and not answer.usage:
        first.clear()
    if first.setdefault("id", chunk.get("id")) == chunk.get("id") or chunk.get("error"):
        Chat.chunk(self, answer, chunk)


@wrong(Chat, "content", "RFC 8259 7: a string is text, not HTML")
def unescapes_html(self: Chat, state: Choice, delta: JSON) -> None:
    """Replaces HTML's character references in the text."""
    Chat.content(self, state, delta)
    state.content = [html.unescape(text) for text in state.content]


@wrong(Chat, "content", "RFC 8259 7: a string is unescaped once")
def unescapes_twice(self: Chat, state: Choice, delta: JSON) -> None:
    """Replaces a backslash and an n in the text with a line end."""
    Chat.content(self, state, delta)
    state.content = [text.replace("\\n", "\n") for text in state.content]


@wrong(Chat, "content", "OpenAI's chat reference: the deltas of content make up the message")
def drops_blank_deltas(self: Chat, state: Choice, delta: JSON) -> None:
    """Drops deltas that are only whitespace."""
    if str(delta.get("content") or "").strip():
        Chat.content(self, state, delta)


@wrong(Chat, "content", "OpenAI's chat reference: the deltas of content make up the message")
def drops_a_zero(self: Chat, state: Choice, delta: JSON) -> None:
    """Tests whether a delta is empty as PHP does: "0" is."""
    if delta.get("content") != "0":
        Chat.content(self, state, delta)


@wrong(Chat, "content", "OpenAI's chat reference: the deltas of content make up the message")
def drops_a_repeated_delta(self: Chat, state: Choice, delta: JSON) -> None:
    """Takes a delta that is equal to the last for a duplicate."""
    if not state.content or state.content[-1] != delta.get("content"):
        Chat.content(self, state, delta)


@wrong(Chat, "content", "OpenAI's chat reference: the deltas of content make up the message")
def skips_what_it_already_has(self: Chat, state: Choice, delta: JSON) -> None:
    """Skips a delta that the text already ends with, in case the provider sends it again."""
    content = delta.get("content")
    if not (isinstance(content, str) and len(content) > 1 and "".join(state.content).endswith(content)):
        Chat.content(self, state, delta)


@wrong(Chat, "content", "OpenAI's chat reference: the deltas of content make up the message")
def takes_longer_content_for_the_whole(self: Chat, state: Choice, delta: JSON) -> None:
    """Replaces the text with a delta that begins with it, in case the provider sends the text so far."""
    content, sofar = delta.get("content"), "".join(state.content)
    if isinstance(content, str) and sofar and content.startswith(sofar):
        state.content = []
    Chat.content(self, state, delta)
