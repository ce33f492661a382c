"""What the API answers besides replies: its models, and the tokens of a request. https://platform.claude.com/docs/en/api/messages/count_tokens"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fakellm.apis.messages.http import models
from fakellm.apis.messages.http.urls import COUNT, MessagesUrl, messages_url
from fakellm.apis.messages.requests.body import COUNT as COUNTED
from fakellm.apis.messages.requests.parse import read_body, texts_in
from fakellm.apis.openai.urls import LIST, MODEL
from fakellm.apis.operation import Operation, OperationRequest
from fakellm.base import tokenizer
from fakellm.base.json_text import dumps
from fakellm.wire.plan import Frame, Plan


def count_tokens(request: OperationRequest) -> Plan:
    """`POST /v1/messages/count_tokens`: as many as the usage of a reply would state, and those of the tools."""
    url = messages_url(request.url.partition("?")[0]) or MessagesUrl()
    body = read_body(request.body, url, COUNTED)
    tokens = sum(3 + tokenizer.count(text) for text in texts_in(body)) + _tools(body.get("tools") or ())
    return Plan(200, (("Content-Type", "application/json"),), (Frame(dumps({"input_tokens": tokens}).encode()),))


def _tools(tools: Any) -> int:
    return sum(tokenizer.count(dumps(tool)) for tool in tools)


OPERATIONS: Mapping[str, Mapping[str, Operation]] = {
    COUNT: {"POST": count_tokens},
    LIST: {"GET": models.listed},
    MODEL: {"GET": models.described},
}
"""The operations, by route and method."""
