"""Operations on the input of a request, after the conversation that it continues: its tokens are counted, or it is
compacted. They keep nothing.

https://platform.openai.com/docs/api-reference/responses/input-tokens
https://platform.openai.com/docs/api-reference/responses/compact
"""

from __future__ import annotations

from fakellm.apis.openai.request_body import typed
from fakellm.apis.operation import OperationRequest
from fakellm.apis.responses.dialects.ids import OPENAI
from fakellm.apis.responses.requests.body import ResponsesBody
from fakellm.apis.responses.requests.input_items import messages_of
from fakellm.apis.responses.stored.keeping import history, input_items
from fakellm.apis.responses.stored.operations import Done
from fakellm.apis.responses.stored.store import KeptResponses
from fakellm.base import tokenizer
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM, Source
from fakellm.model.request import digest


def count_input_tokens(kept: KeptResponses, request: OperationRequest) -> Done:
    """`POST /responses/input_tokens`: the number that the usage of a reply would have."""
    body, sent = typed(request.body, ResponsesBody)
    items = [*history(sent, kept), *input_items(sent.get("input"), "")]
    return kept, {"object": "response.input_tokens", "input_tokens": _tokens(body, items)}


def compact(kept: KeptResponses, request: OperationRequest) -> Done:
    """`POST /responses/compact`: the user's messages, and an item in place of all others."""
    body, sent = typed(request.body, ResponsesBody)
    source = Source(request.seed, "compact", digest(sent))
    created = source.draw("created", lambda each: 1_780_000_000 + each.below(31_536_000))
    name = source.draw("id", lambda each: OPENAI.response(each, created))
    cipher = source.draw("encrypted_content", lambda each: "gAAAAA" + each.text(ALNUM + "-_", 394))
    item = source.draw("item", lambda each: OPENAI.item(each, "compaction", name, created, 0))
    items = [*history(sent, kept), *input_items(sent.get("input"), name)]
    users = [each for each in items if each.get("role") == "user"]
    read, written = _tokens(body, items), 90 + source.draw("written", lambda each: each.below(60))
    return kept, {
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


def _tokens(body: ResponsesBody, items: list[JSON]) -> int:
    return sum(3 + tokenizer.count(message.text) for message in messages_of(body.instructions, items))
