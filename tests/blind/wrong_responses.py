"""Wrong clients: OpenAI's Responses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.blind.bug import wrong
from tests.blind.responses import JSON, Item, Output, Responses
from tests.blind.sse import Event
from tests.blind.wire import ClientError


@wrong(Responses, "function", "Recorded providers: arguments may come without deltas, in .done (LM Studio)")
def needs_deltas_of_arguments(self: Responses, item: Item, cut: bool) -> JSON:
    """Returns the arguments that were streamed, and nothing else."""
    return {"type": "tool_call", "name": item.item["name"], "arguments": item.arguments}


@wrong(Responses, "added_to", "OpenAI's reference: .done has the text that is final")
def ignores_done(self: Responses, text: str, data: JSON, step: str, key: str) -> str:
    """Reads deltas only."""
    return text if step == "done" else text + data["delta"]


@wrong(
    Responses,
    "texts",
    "Recorded providers: the texts of an item are repeated in output_item.done; deltas may be absent",
)
def needs_deltas_of_text(self: Responses, item: Item, key: str) -> list[JSON]:
    """Returns the texts that were streamed, and nothing else."""
    return Responses.texts(self, Item({**item.item, "content": [], "summary": []}, item.parts), key)


@wrong(Responses, "items", "Recorded providers: the output of response.completed may be empty (Codex)")
def reads_the_output_of_the_end(self: Responses, output: Output, response: JSON) -> list[Item]:
    """Returns the items of response.completed."""
    return [Item(item) for item in response.get("output") or ()]


@wrong(Responses, "opened", "Recorded providers: each event may have another item_id (Copilot)")
def finds_items_by_their_id(self: Responses, output: Output, data: JSON) -> Item:
    """Finds an item by its id."""
    return next(item for item in output.items.values() if item.item.get("id") == data.get("item_id"))


@wrong(Responses, "opened", "OpenAI's reference: output_index is the index of the item")
def adds_to_the_last_item(self: Responses, output: Output, data: JSON) -> Item:
    """Adds what comes to the item that was added last."""
    return list(output.items.values())[-1]


@wrong(Responses, "added", "OpenAI's reference: output_index is the index of the item")
def counts_the_items_that_it_knows(self: Responses, output: Output, data: JSON) -> None:
    """Leaves out items of types that it does not know, so that later ones move up."""
    if data["item"]["type"] in ("message", "function_call"):
        output.items[len(output.items)] = Item(data["item"])


@wrong(Responses, "at_other", "OpenAI's reference: events may be added; recorded: `keepalive`")
def knows_events_of_responses(self: Responses, output: Output, kind: str, data: JSON) -> None:
    """Fails on an event whose type does not begin with `response.`."""
    if not kind.startswith("response."):
        raise ClientError(f"unknown event {kind}")


@wrong(Responses, "at_other", "OpenAI's reference: events may be added")
def fails_on_other_events(self: Responses, output: Output, kind: str, data: JSON) -> None:
    """Fails on an event that it does not know."""
    if kind not in ("response.created", "response.in_progress", "response.queued", "response.content_part.added"):
        raise ClientError(f"unknown event {kind}")


@wrong(Responses, "event", "Recorded providers: sequence numbers may be missing, or have gaps")
def needs_every_sequence_number(self: Responses, output: Output, event: Event, data: Any) -> None:
    """Takes a gap in the sequence numbers for a lost event."""
    state = self.__dict__
    if data.get("type") == "response.created":
        state["sequence"] = data["sequence_number"] - 1
    if data["sequence_number"] != state["sequence"] + 1:
        raise ClientError("an event was lost")
    state["sequence"] += 1
    Responses.event(self, output, event, data)


@wrong(Responses, "at_error", "OpenAI's reference and recorded streams: an error is flat, or within `error`")
def knows_flat_errors(self: Responses, output: Output, kind: str, data: JSON) -> None:
    """Knows errors with a message at the top; others end the response."""
    if data.get("message"):
        raise ClientError(data["message"])
    output.response = {"status": "completed"}


@wrong(Responses, "at_error", "OpenAI's reference and recorded streams: an error is flat, or within `error`")
def knows_nested_errors(self: Responses, output: Output, kind: str, data: JSON) -> None:
    """Knows errors within `error`; others end the response."""
    if data.get("error") or data.get("response"):
        raise ClientError(str(data))
    output.response = {"status": "completed"}


@wrong(Responses, "at_error", "OpenAI's reference: response.failed means that the response has failed")
def takes_failed_for_an_end(self: Responses, output: Output, kind: str, data: JSON) -> None:
    """Takes response.failed for one more kind of end."""
    if kind == "error":
        raise ClientError(str(data))
    output.response = data["response"]


@wrong(Responses, "finish", "OpenAI's reference: response.incomplete means that the output was cut")
def takes_incomplete_for_completed(self: Responses, response: JSON) -> str | None:
    """Takes response.incomplete for one more kind of end."""
    return None


@wrong(Responses, "items", "OpenAI's reference: output is an array; its length and order depend on the model")
def keeps_the_last_message(self: Responses, output: Output, response: JSON) -> list[Item]:
    """Returns the last message, as if there were only one."""
    items = Responses.items(self, output, response)
    messages = [item for item in items if item.item.get("type") == "message"]
    return [item for item in items if item not in messages[:-1]]


@wrong(Responses, "texts", "OpenAI's reference: the content of a message is an array of parts")
def keeps_the_first_part(self: Responses, item: Item, key: str) -> list[JSON]:
    """Returns the first part of a message."""
    return Responses.texts(self, item, key)[:1]


@wrong(Responses, "blocks", "OpenAI's reference: a refusal is a part of a message")
def drops_refusals(self: Responses, item: Item, cut: bool) -> list[JSON]:
    """Returns output_text parts only."""
    return [block for block in Responses.blocks(self, item, cut) if block["type"] != "refusal"]


@wrong(Responses, "kind", "Recorded providers: events without an `event` field (OpenRouter); the data has the type too")
def needs_the_name_of_the_event(self: Responses, event: Event, data: JSON) -> str:
    """Reads the type of an event from its `event` field only."""
    return event.type


@wrong(Responses, "events", "Recorded providers: data: [DONE] may follow response.completed (OpenRouter)")
def fails_on_the_end_mark(self: Responses, lines: Iterable[str]) -> Iterable[Event]:
    """Reads to the end of the stream, and parses all of it."""
    events = list(Responses.events(self, lines))
    for event in events:
        self.parsed(event.data or "{}")
    return iter(events)


@wrong(Responses, "check", "OpenAI's reference: a stream ends with response.completed, .incomplete or .failed")
def needs_no_end(self: Responses, output: Output) -> None:
    """Takes the end of the stream for the end of the response."""
    output.response = output.response or {"status": "completed"}


@wrong(Responses, "part", "OpenAI's reference: events may get new properties; recorded: obfuscation, logprobs")
def fails_on_unknown_properties(self: Responses, output: Output, kind: str, data: JSON) -> None:
    """Builds an event from its properties, and fails on one that it does not know."""
    known = "type delta text arguments refusal item_id output_index content_index summary_index sequence_number logprobs name".split()
    if kind.endswith(".delta") and (unknown := set(data) - set(known)):
        raise ClientError(f"unexpected keyword arguments {unknown}")
    Responses.part(self, output, kind, data)


@wrong(Responses, "done", "Recorded providers: an item may be done without a status, or with another one (Azure)")
def needs_the_status_completed(self: Responses, output: Output, data: JSON) -> None:
    """Drops an item that is done without the status `completed`."""
    if data["item"].get("status") == "completed":
        Responses.done(self, output, data)
    else:
        output.items.pop(data["output_index"], None)


@wrong(Responses, "counts", "Recorded providers: usage may be missing, or null")
def needs_usage(self: Responses, response: JSON) -> JSON | None:
    """Fails on a response without usage."""
    response["usage"]["input_tokens"]
    return Responses.counts(self, response)
