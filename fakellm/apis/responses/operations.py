"""Operations that need nothing that is kept: counting the tokens of an input, and compacting a conversation.

https://platform.openai.com/docs/api-reference/responses/input-tokens
https://platform.openai.com/docs/api-reference/responses/compact
"""

from __future__ import annotations

from collections.abc import Mapping

from fakellm.apis.openai.request_body import typed
from fakellm.apis.operation import Operation, OperationRequest
from fakellm.apis.responses import urls
from fakellm.apis.responses.dialects.ids import OPENAI
from fakellm.apis.responses.requests.body import ResponsesBody
from fakellm.apis.responses.requests.input_items import messages_of
from fakellm.apis.responses.stored.keeping import input_items
from fakellm.base import tokenizer
from fakellm.base.json_text import JSON, dumps
from fakellm.base.seed import ALNUM, Source
from fakellm.model.request import digest
from fakellm.wire.plan import Frame, Plan


def count_input_tokens(request: OperationRequest) -> Plan:
    """`POST /responses/input_tokens`: the number that the usage of a reply would have."""
    body, sent = typed(request.body, ResponsesBody)
    return _json({"object": "response.input_tokens", "input_tokens": _tokens(body, sent)})


def compact(request: OperationRequest) -> Plan:
    """`POST /responses/compact`: the user's messages, and an item in place of all others."""
    body, sent = typed(request.body, ResponsesBody)
    source = Source(request.seed, "compact", digest(sent))
    created = source.draw("created", lambda each: 1_780_000_000 + each.below(31_536_000))
    name = source.draw("id", lambda each: OPENAI.response(each, created))
    cipher = source.draw("encrypted_content", lambda each: "gAAAAA" + each.text(ALNUM + "-_", 394))
    item = source.draw("item", lambda each: OPENAI.item(each, "compaction", name, created, 0))
    users = [each for each in input_items(sent.get("input"), name) if each.get("role") == "user"]
    read, written = _tokens(body, sent), 90 + source.draw("written", lambda each: each.below(60))
    return _json(
        {
            "id": name,
            "object": "response.compaction",
            "created_at": created,
            "output": [*users, {"id": item, "type": "compaction", "encrypted_content": cipher}],
            "usage": {
                "input_tokens": read,
                "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
                "output_tokens": written,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": read + written,
            },
        }
    )


def _tokens(body: ResponsesBody, sent: JSON) -> int:
    messages = messages_of(body.instructions, sent.get("input"))
    return sum(3 + tokenizer.count(message.text) for message in messages)


def _json(value: JSON) -> Plan:
    content = dumps(value, 2).encode("utf-8", "surrogatepass")
    return Plan(200, (("Content-Type", "application/json"),), (Frame(content),))


OPERATIONS: Mapping[str, Mapping[str, Operation]] = {
    urls.INPUT_TOKENS: {"POST": count_input_tokens},
    urls.COMPACT: {"POST": compact},
}
"""The operations, by route and method."""
