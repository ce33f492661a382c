"""The routes of what is kept: from a request for an operation and an owner of what is kept to the response.

An operation that changes what is kept is repeated if another request changed it meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from fakellm.apis.operation import OperationRequest, Store
from fakellm.apis.responses import urls
from fakellm.apis.responses.stored import inputs, operations
from fakellm.apis.responses.stored.store import KeptResponses
from fakellm.base.errors import RequestError
from fakellm.base.json_text import JSON, dumps
from fakellm.base.seed import HEX, Source
from fakellm.model.request import digest
from fakellm.wire.framing import Framing, frame
from fakellm.wire.plan import Frame, Plan
from fakellm.wire.sse import Event

Change = Callable[[KeptResponses, OperationRequest], operations.Done]
JSON_TYPE = (("Content-Type", "application/json"),)


def answered(store: Store, request: OperationRequest, method: str) -> Plan:
    """The response to a request for one of `STORED`. Raises RequestError."""
    if method == "GET" and request.target.route == urls.ONE and _query(request).get("stream") == "true":
        return _stream(store.read(), request)
    change = STORED[request.target.route][method]
    while True:
        before = store.read()
        after, value = change(before, request)
        if after is before or store.write(before, after):
            return Plan(200, JSON_TYPE, (Frame(dumps(value, 2).encode("utf-8", "surrogatepass")),))


def _stream(kept: KeptResponses, request: OperationRequest) -> Plan:
    """The rest of a stream that broke off. https://platform.openai.com/docs/guides/background#streaming"""
    after = _query(request).get("starting_after")
    if after is not None and not after.isdecimal():
        raise RequestError(400, f"Invalid 'starting_after': expected an integer, got {after!r}.", "invalid_type")
    events = [
        Event(data, json.loads(data).get("type", "message") if data != "[DONE]" else "message")
        for data in operations.events_after(kept, _id(request), None if after is None else int(after))
    ]
    frames = tuple(map(Frame, frame(events, Framing())))
    headers = (("Content-Type", "text/event-stream; charset=utf-8"), ("Cache-Control", "no-cache"))
    return Plan(200, headers, frames, delimited="chunked")


def _id(request: OperationRequest) -> str:
    return request.target.id or ""


def _item(request: OperationRequest) -> str:
    return request.target.item or ""


def _query(request: OperationRequest) -> Mapping[str, str]:
    return dict(parse_qsl(request.url.partition("?")[2]))


def _body(request: OperationRequest) -> JSON:
    try:
        value = json.loads(request.body or b"{}")
    except (ValueError, RecursionError) as problem:
        message = f"We could not parse the JSON body of your request: {problem}."
        raise RequestError(400, message, "invalid_json") from None
    if not isinstance(value, dict):
        raise RequestError(400, "Invalid body: expected a JSON object.", "invalid_type")
    return value


def _new_conversation(kept: KeptResponses, request: OperationRequest) -> operations.Done:
    body = _body(request)
    source = Source(request.seed, "conversation", digest(body), len(kept.conversations))
    name = "conv_" + source.text(HEX, 50)
    return operations.create_conversation(kept, name, 1_780_000_000 + source.below(31_536_000), body)


STORED: Mapping[str, Mapping[str, Change]] = {
    urls.ONE: {
        "GET": lambda kept, request: operations.retrieve(kept, _id(request)),
        "DELETE": lambda kept, request: operations.delete(kept, _id(request)),
    },
    urls.CANCEL: {"POST": lambda kept, request: operations.cancel(kept, _id(request))},
    urls.INPUT_ITEMS: {
        "GET": lambda kept, request: operations.list_input_items(kept, _id(request), _query(request)),
    },
    urls.INPUT_TOKENS: {"POST": inputs.count_input_tokens},
    urls.COMPACT: {"POST": inputs.compact},
    urls.CONVERSATIONS: {"POST": _new_conversation},
    urls.CONVERSATION: {
        "GET": lambda kept, request: operations.retrieve_conversation(kept, _id(request)),
        "POST": lambda kept, request: operations.update_conversation(kept, _id(request), _body(request)),
        "DELETE": lambda kept, request: operations.delete_conversation(kept, _id(request)),
    },
    urls.CONVERSATION_ITEMS: {
        "GET": lambda kept, request: operations.list_conversation_items(kept, _id(request), _query(request)),
        "POST": lambda kept, request: operations.add_conversation_items(kept, _id(request), _body(request)),
    },
    urls.CONVERSATION_ITEM: {
        "GET": lambda kept, request: operations.retrieve_conversation_item(kept, _id(request), _item(request)),
        "DELETE": lambda kept, request: operations.delete_conversation_item(kept, _id(request), _item(request)),
    },
}
"""The operations, by route and method."""
