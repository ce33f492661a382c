"""The operations on responses and conversations that are kept: pure functions from what is kept to the reply.

Each returns what is kept afterwards and the JSON of the reply, or raises RequestError.
https://platform.openai.com/docs/api-reference/responses
https://platform.openai.com/docs/api-reference/conversations
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from fakellm.apis.openai.request_body import invalid_value
from fakellm.apis.responses.stored.keeping import conversation, input_items, shown
from fakellm.apis.responses.stored.store import Conversation, KeptResponses, StoredResponse, texts_of
from fakellm.base.errors import RequestError
from fakellm.base.json_text import JSON, dumps

_MOST_ITEMS = 100
Done = tuple[KeptResponses, JSON]
"""What is kept after an operation, and the reply."""


def retrieve(kept: KeptResponses, name: str) -> Done:
    """`GET /responses/{id}`: the response object. One in the background gets on with each retrieval."""
    found = _response(kept, name)
    if found.polls:
        kept = kept.with_response(replace(found, polls=found.polls - 1))
        found = kept.responses[name]
    return kept, shown(found)


def events_after(kept: KeptResponses, name: str, starting_after: int | None = None) -> Sequence[str]:
    """`GET /responses/{id}?stream=true`: the data of the events of its stream that follow the event of this number."""
    found = _response(kept, name)
    if not found.sent:
        raise RequestError(400, f"Response with id '{name}' was not streamed.", "invalid_value", "stream")
    first = 0 if starting_after is None else starting_after + 1
    return [data for data in found.events if data == "[DONE]" or _number(data) >= first]


def _number(data: str) -> int:
    value = json.loads(data).get("sequence_number")
    return value if isinstance(value, int) else 0


def delete(kept: KeptResponses, name: str) -> Done:
    """`DELETE /responses/{id}`."""
    _response(kept, name)
    return kept.without_response(name), {"id": name, "object": "response.deleted", "deleted": True}


def cancel(kept: KeptResponses, name: str) -> Done:
    """`POST /responses/{id}/cancel`: only one in the background, and only before it is completed; again: no change."""
    found = _response(kept, name)
    if not json.loads(found.body).get("background"):
        message = "Only responses that run in the background can be cancelled: 'background' is not true."
        raise RequestError(400, message, None)
    if found.polls and not found.cancelled:
        found = replace(found, cancelled=True, polls=0)
        kept = kept.with_response(found)
    return kept, shown(found)


def list_input_items(kept: KeptResponses, name: str, query: Mapping[str, str]) -> Done:
    """`GET /responses/{id}/input_items`."""
    return kept, page(_response(kept, name).items, query)


def page(items: Sequence[JSON], query: Mapping[str, str]) -> JSON:
    """A page of a list: `limit` items, the newest first unless `order=asc`, after the item with the id `after`."""
    limit = query.get("limit", "20")
    if not limit.isdecimal() or not 1 <= int(limit) <= _MOST_ITEMS:
        raise invalid_value("limit", f"expected an integer from 1 to {_MOST_ITEMS}, got {limit!r}")
    if query.get("order", "desc") not in ("asc", "desc"):
        raise invalid_value("order", f"expected 'asc' or 'desc', got {query['order']!r}")
    ordered = list(items) if query.get("order") == "asc" else list(reversed(items))
    if after := query.get("after"):
        ids = [item.get("id") for item in ordered]
        if after not in ids:
            raise invalid_value("after", f"no item has the id {after!r}")
        ordered = ordered[ids.index(after) + 1 :]
    found = ordered[: int(limit)]
    first, last = (found[0].get("id"), found[-1].get("id")) if found else (None, None)
    return {
        "object": "list",
        "data": found,
        "first_id": first,
        "last_id": last,
        "has_more": len(ordered) > len(found),
    }


def _response(kept: KeptResponses, name: str) -> StoredResponse:
    found = kept.responses.get(name)
    if found is None:
        raise RequestError(404, f"Response with id '{name}' not found.", None)
    return found


def create_conversation(kept: KeptResponses, name: str, created: int, body: JSON) -> Done:
    """`POST /conversations`."""
    items = texts_of(input_items(body.get("items") or [], name))
    made = Conversation(name, created, dumps(body.get("metadata") or {}), items)
    return kept.with_conversation(made), conversation_json(made)


def conversation_json(found: Conversation) -> JSON:
    """A conversation, without its items."""
    metadata = json.loads(found.metadata)
    return {"id": found.id, "object": "conversation", "created_at": found.created, "metadata": metadata}


def retrieve_conversation(kept: KeptResponses, name: str) -> Done:
    """`GET /conversations/{id}`."""
    return kept, conversation_json(conversation(kept, name))


def update_conversation(kept: KeptResponses, name: str, body: JSON) -> Done:
    """`POST /conversations/{id}`: sets its metadata."""
    found = replace(conversation(kept, name), metadata=dumps(body.get("metadata") or {}))
    return kept.with_conversation(found), conversation_json(found)


def delete_conversation(kept: KeptResponses, name: str) -> Done:
    """`DELETE /conversations/{id}`."""
    conversation(kept, name)
    return kept.without_conversation(name), {"id": name, "object": "conversation.deleted", "deleted": True}


def list_conversation_items(kept: KeptResponses, name: str, query: Mapping[str, str]) -> Done:
    """`GET /conversations/{id}/items`."""
    return kept, page([json.loads(item) for item in conversation(kept, name).items], query)


def add_conversation_items(kept: KeptResponses, name: str, body: JSON) -> Done:
    """`POST /conversations/{id}/items`."""
    found = conversation(kept, name)
    added = input_items(body.get("items") or [], f"{name} {len(found.items) + found.deleted}")
    kept = kept.with_conversation(replace(found, items=(*found.items, *texts_of(added))))
    return kept, page(added, {"order": "asc", "limit": str(_MOST_ITEMS)})


def retrieve_conversation_item(kept: KeptResponses, name: str, item: str) -> Done:
    """`GET /conversations/{id}/items/{item}`."""
    return kept, _items(conversation(kept, name), item)[0]


def delete_conversation_item(kept: KeptResponses, name: str, item: str) -> Done:
    """`DELETE /conversations/{id}/items/{item}`: returns the conversation."""
    found = conversation(kept, name)
    _items(found, item)
    rest = tuple(each for each in found.items if json.loads(each).get("id") != item)
    found = replace(found, items=rest, deleted=found.deleted + len(found.items) - len(rest))
    return kept.with_conversation(found), conversation_json(found)


def _items(found: Conversation, item: str) -> list[JSON]:
    """The items with this id: of several, a client has sent the id. Raises RequestError if there is none."""
    items = [each for each in map(json.loads, found.items) if each.get("id") == item]
    if not items:
        raise RequestError(404, f"Item with id '{item}' not found in conversation '{found.id}'.", None)
    return items
