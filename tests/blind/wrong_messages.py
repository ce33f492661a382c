"""Wrong clients: Anthropic's Messages."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.blind.bug import wrong
from tests.blind.http import Result
from tests.blind.messages import INPUT, JSON, Block, Message, Messages
from tests.blind.sse import Event
from tests.blind.wire import ClientError


@wrong(Messages, "usage", "Anthropic's streaming reference: the counts of message_delta are cumulative")
def adds_up_counts(self: Messages, message: Message, usage: JSON) -> None:
    """Adds the usage of message_start and message_delta."""
    for key, count in usage.items():
        if isinstance(count, int):
            message.usage[key] = message.usage.get(key, 0) + count


@wrong(Messages, "usage", "Recorded providers: the input may be counted at the end only (Z.ai), or grow (web search)")
def keeps_the_input_of_the_start(self: Messages, message: Message, usage: JSON) -> None:
    """Takes the input tokens from message_start and the output tokens from message_delta."""
    kept = {key: message.usage[key] for key in INPUT if key in message.usage}
    Messages.usage(self, message, {**usage, **kept})


@wrong(Messages, "usage", "Anthropic's streaming reference: usage is not bound to have every count")
def replaces_usage(self: Messages, message: Message, usage: JSON) -> None:
    """Replaces the usage of message_start with that of message_delta, even if that has fewer counts."""
    message.usage = dict(usage)


@wrong(
    Messages,
    "at_other",
    "Anthropic's streaming reference: new event types may be added; handle unknown ones gracefully",
)
def fails_on_unknown_events(self: Messages, message: Message, kind: str, data: JSON) -> None:
    """Fails on an event that it does not know."""
    if kind not in ("content_block_stop", "ping"):
        raise ClientError(f"unknown event {kind}")


@wrong(Messages, "at_other", "Anthropic's streaming reference: there may be any number of ping events")
def fails_on_pings(self: Messages, message: Message, kind: str, data: JSON) -> None:
    """Expects every event within the message to have an index."""
    if kind == "ping":
        data["index"]


@wrong(Messages, "opened", "Anthropic's streaming reference: the index is that of the block in the final content array")
def adds_to_the_last_block(self: Messages, message: Message, data: JSON) -> Block:
    """Adds a delta to the block that was opened last."""
    return list(message.blocks.values())[-1]


@wrong(Messages, "block", "Anthropic's streaming reference: the index is that of the block in the final content array")
def counts_the_blocks_that_it_knows(self: Messages, message: Message, data: JSON) -> None:
    """Leaves out blocks of types that it does not know, so that later ones move up."""
    if data["content_block"]["type"] in ("text", "thinking", "tool_use"):
        message.blocks[len(message.blocks)] = Block(data["content_block"])


@wrong(Messages, "delta", "Anthropic's versioning: new types of deltas may be added")
def fails_on_unknown_deltas(self: Messages, block: Block, delta: JSON) -> None:
    """Expects every delta to have a text, thinking or JSON."""
    if delta["type"] != "signature_delta":
        next(delta[key] for key in ("text", "thinking", "partial_json") if key in delta)
    Messages.delta(self, block, delta)


@wrong(Messages, "delta", "Anthropic's extended thinking: the signature is apart from the thinking")
def takes_the_signature_for_thinking(self: Messages, block: Block, delta: JSON) -> None:
    """Adds the signature to the thinking."""
    block.pieces += [text for key, text in delta.items() if key in ("text", "thinking", "partial_json", "signature")]


@wrong(Messages, "input", "Anthropic's streaming reference: a tool without arguments has no JSON to accumulate")
def parses_empty_input(self: Messages, block: Block, cut: bool) -> Any:
    """Parses the input of a call even if it is empty."""
    return json.loads("".join(block.pieces))


@wrong(Messages, "input", "Compatible servers: the input may be whole in content_block_start")
def ignores_the_input_of_the_start(self: Messages, block: Block, cut: bool) -> Any:
    """Returns the input that was streamed, and none if there was none."""
    return self.whole_arguments(self.joined(block.pieces), cut) or {}


@wrong(Messages, "delta", "Anthropic's streaming reference: the deltas are partial JSON strings; all of them count")
def skips_the_first_json(self: Messages, block: Block, delta: JSON) -> None:
    """Takes the first fragment of an input for the empty one that Anthropic sends."""
    if delta["type"] == "input_json_delta" and not block.pieces:
        block.pieces.append("")
    else:
        Messages.delta(self, block, delta)


@wrong(Messages, "delta", "Anthropic's streaming reference: the deltas are partial JSON strings, cut anywhere")
def strips_partial_json(self: Messages, block: Block, delta: JSON) -> None:
    """Strips each fragment of an input."""
    Messages.delta(self, block, delta)
    if delta["type"] == "input_json_delta":
        block.pieces[-1] = block.pieces[-1].strip()


@wrong(Messages, "check", "Anthropic's streaming reference: a message ends with message_stop")
def needs_no_stop(self: Messages, message: Message) -> None:
    """Takes the end of the stream for the end of the message."""
    message.stop = message.stop or "end_turn"


@wrong(Messages, "at_error", "Anthropic's streaming reference: errors may be in the event stream")
def ends_at_an_error(self: Messages, message: Message, data: JSON) -> None:
    """Takes an error for the end of the message."""
    message.ended = True
    message.stop = message.stop or "end_turn"


@wrong(
    Messages, "kind", "Anthropic's streaming reference: the data has the type too; HTML 9.2.6: proxies may drop names"
)
def needs_the_event_name(self: Messages, event: Event, data: JSON) -> str:
    """Reads the type of an event from its `event` field only."""
    return event.type


@wrong(Messages, "result", "Anthropic's reference: the content is an array of blocks; citations make many texts")
def keeps_the_first_text(self: Messages, message: Message) -> Result:
    """Returns the first block of text, as if there were only one."""
    texts = [number for number, block in sorted(message.blocks.items()) if block.type == "text"]
    for number in texts[1:]:
        del message.blocks[number]
    return Messages.result(self, message)


@wrong(Messages, "one", "Anthropic's extended thinking: some thinking is redacted, in a block without `thinking`")
def needs_thinking_to_read(self: Messages, block: Block, cut: bool) -> JSON | None:
    """Reads the thinking of a block of redacted thinking."""
    if block.type == "redacted_thinking":
        return {"type": "thinking", "text": block.start["thinking"]}
    return Messages.one(self, block, cut)


@wrong(Messages, "parsed", "RFC 8259 2: whitespace may come before a brace; Anthropic pads its events with it")
def needs_both_braces_last(self: Messages, data: str) -> Any:
    """Takes data that does not end with a brace right after another for an incomplete event."""
    if data.rstrip("}").endswith(" "):
        raise ClientError("an incomplete event")
    return Messages.parsed(self, data)


@wrong(
    Messages, "finish", "Anthropic's reference: stop reasons beyond the first four are pause_turn, refusal and others"
)
def knows_four_stop_reasons(self: Messages, stop: str | None) -> str | None:
    """Fails on a stop reason that it does not know."""
    return {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}[stop or ""]


@wrong(Messages, "start", "Recorded providers: the message may be whole in message_start")
def expects_an_empty_start(self: Messages, message: Message, start: JSON) -> None:
    """Ignores the content of message_start."""
    Messages.start(self, message, {**start, "content": []})


@wrong(Messages, "at_other", "Anthropic's streaming reference: content blocks are started and stopped one by one")
def ends_at_the_first_block(self: Messages, message: Message, kind: str, data: JSON) -> None:
    """Takes the end of the first block for the end of the message."""
    if kind == "content_block_stop":
        message.ended = True
        message.stop = "end_turn" if message.blocks[0].type == "text" else "tool_use"


@wrong(Messages, "events", "Compatible servers: data: [DONE] may follow message_stop")
def parses_the_end_mark(self: Messages, lines: Iterable[str]) -> Iterable[Event]:
    """Reads to the end of the stream, and parses all of it."""
    events = list(Messages.events(self, lines))
    for event in events:
        self.parsed(event.data or "{}")
    return iter(events)
