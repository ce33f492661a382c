"""What is kept of a reply, and the conversation that a request continues. Pure functions of what is kept.

https://platform.openai.com/docs/guides/conversation-state
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from fakellm.apis.responses.requests.input_items import messages_of
from fakellm.apis.responses.stored.store import Conversation, KeptResponses, StoredResponse, texts_of
from fakellm.base.errors import RequestError
from fakellm.base.json_text import JSON, dumps
from fakellm.base.seed import HEX, Source
from fakellm.model.request import Request
from fakellm.wire.sse import Event, from_the_end

POLLS = 2
"""How many retrievals until a response in the background is completed: it is queued, and then in progress."""

REFERRING = b'"previous_response_id"', b'"conversation"'
"""The keys with which a request refers to what it continues."""

_AFTER_KEY = re.compile(rb'\s*(?:[,}\]]|:\s*(?:null|(?:\{\s*"id"\s*:\s*)?"([^"\\]*)"))')
"""What follows such a key: an id, in an object or not, or null; or what follows a text that only looks like one."""

_MOST_REFERENCES = 20
"""In one request, as far as they are read here."""


def continued(request: Request, kept: KeptResponses) -> Request:
    """The request with the messages of the conversation that it continues, after its instructions.

    Raises RequestError if that response or conversation is not kept.
    """
    before = history(request.body, kept)
    if not before:
        return request
    body = request.body
    messages = messages_of(body.get("instructions"), [*before, *input_items(body.get("input"), "")])
    return replace(request, messages=messages)


def history(body: JSON, kept: KeptResponses) -> list[JSON]:
    """The items of the conversation so far."""
    if name := conversation_id(body):
        return [json.loads(item) for item in conversation(kept, name).items]
    found: list[JSON] = []
    known: set[str] = set()
    name = body.get("previous_response_id")
    while isinstance(name, str) and name not in known:  # a rule may give all its responses one id
        known.add(name)
        response = kept.responses.get(name)
        if response is None:
            message = f"Previous response with id '{name}' not found."
            raise RequestError(400, message, "previous_response_not_found", "previous_response_id")
        found = [*response.items, *response.output, *found]
        name = response.previous
    return found


def conversation_id(body: JSON) -> str | None:
    """The id of the conversation that a request belongs to."""
    value = body.get("conversation")
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) else None


def conversation(kept: KeptResponses, name: str) -> Conversation:
    """The conversation of this id. Raises RequestError."""
    found = kept.conversations.get(name)
    if found is None:
        raise RequestError(404, f"Conversation with id '{name}' not found.", None)
    return found


def part(kept: KeptResponses, body: bytes) -> KeptResponses:
    """Of what is kept, at least all that a request with this body may continue."""
    names = _names(body)
    if names is None:
        return kept
    conversations = {name: kept.conversations[name] for name in names if name in kept.conversations}
    responses: dict[str, StoredResponse] = {}
    for name in names:
        response = kept.responses.get(name)
        while response is not None and response.id not in responses:
            responses[response.id] = response
            response = kept.responses.get(response.previous or "")
    size = sum(each.size for each in responses.values()) + sum(each.size for each in conversations.values())
    return KeptResponses(kept.most_bytes, responses, conversations, size)


def _names(body: bytes) -> list[str] | None:
    """The ids that a request refers to, and maybe others; None if only reading the whole body would find them."""
    found: list[str] = []
    for key in REFERRING:
        place = body.find(key)
        while place >= 0:
            after = _AFTER_KEY.match(body, place + len(key))
            if after is None or len(found) == _MOST_REFERENCES:
                return None
            found.append((after[1] or b"").decode("utf-8", "replace"))
            place = body.find(key, place + 1)
    return found


def with_reply(kept: KeptResponses, request: Request, sent: bytes) -> KeptResponses:
    """What is kept after a reply to this request, whose body is `sent`. Nothing of it is kept if the request does not
    want it (`store: false`), or if the reply is not a response that has ended."""
    stored = request.body.get("store") is not False
    response = _stored(request, sent) if stored or conversation_id(request.body) else None
    if response is None:
        return kept
    if response.conversation and response.conversation in kept.conversations:
        before = kept.conversations[response.conversation]
        items = (*before.items, *texts_of(response.items), *texts_of(response.output))
        kept = kept.with_conversation(replace(before, items=items))
    return kept.with_response(response) if stored else kept


def at_once(request: Request, kept: KeptResponses, sent: bytes) -> bytes:
    """What the client gets of a reply that is kept: one in the background is queued first, unless the rule already
    sends it so."""
    reply = _object(sent) if request.body.get("background") and not request.stream else None
    name = reply.get("id") if reply and reply.get("status") not in ("queued", "in_progress") else None
    response = kept.responses.get(name) if isinstance(name, str) else None
    return dumps(shown(response), 2).encode("utf-8", "surrogatepass") if response else sent


def shown(response: StoredResponse) -> JSON:
    """The response object as it is now."""
    body: JSON = json.loads(response.body)
    if response.cancelled or response.polls:
        status = "cancelled" if response.cancelled else "queued" if response.polls == POLLS else "in_progress"
        changed: JSON = {"status": status, "completed_at": None, "output": [], "usage": None}
        body |= {key: value for key, value in changed.items() if key in body}
        if "incomplete_details" in body:
            body["incomplete_details"] = None
    return body


def _stored(request: Request, sent: bytes) -> StoredResponse | None:
    response = next(filter(None, map(_response, from_the_end(sent))), None) if request.stream else _object(sent)
    if response is None or response.get("object") != "response" or not isinstance(response.get("id"), str):
        return None
    background = bool(request.body.get("background"))
    return StoredResponse(
        id=response["id"],
        body=dumps(response),
        input=dumps(input_items(request.body.get("input"), response["id"])),
        sent=sent if request.stream else b"",
        previous=request.body.get("previous_response_id"),
        conversation=conversation_id(request.body),
        polls=POLLS if background and not request.stream else 0,
    )


def _response(event: Event) -> JSON | None:
    """The response object of an event that ends a stream."""
    value = _object(event.data)
    ended = value is not None and value.get("type") in ("response.completed", "response.incomplete", "response.failed")
    return value.get("response") if ended and value else None


def _object(text: str | bytes) -> JSON | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def input_items(value: Any, response: str) -> list[JSON]:
    """The input of a request as items with ids, which depend on the id of the response."""
    items: Sequence[Any] = (
        [{"role": "user", "content": value}] if isinstance(value, str) else value if isinstance(value, list) else ()
    )
    return [_item(item, response, number) for number, item in enumerate(items) if isinstance(item, dict)]


def _item(item: JSON, response: str, number: int) -> JSON:
    kind = item.get("type", "message")
    prefix = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}.get(
        str(kind), "item"
    )
    name = item.get("id") or f"{prefix}_{Source(0, response, number).text(HEX, 48)}"
    if kind != "message":
        return {"id": name, **item}
    role = item.get("role", "user")
    content = item.get("content")
    if isinstance(content, str):
        text = (
            {"type": "output_text", "annotations": [], "logprobs": []}
            if role == "assistant"
            else {"type": "input_text"}
        )
        content = [{**text, "text": content}]
    return {"id": name, "type": "message", "status": "completed", "content": content or [], "role": role}
