"""The URLs of the Messages API: Anthropic's, Vertex AI's and Bedrock's. Imports none of it.

Anthropic's SDKs append `/v1/messages` to their base URL. Vertex AI and Bedrock have the model in the URL, and Vertex AI
whether a stream is requested. https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import unquote

from msgspec import Struct

from fakellm.apis.base_paths import ANTHROPIC, OPENAI, pattern
from fakellm.apis.openai.urls import LIST, MODEL
from fakellm.apis.target import Target

DIALECTS = ("anthropic", "vertex", "bedrock", "deepseek", "kimi", "minimax", "openrouter", "zai")
"""The names of the dialects; the first is the default."""

MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"
"""The routes."""
REPLIES = (MESSAGES,)

_ANTHROPIC = re.compile(pattern(*ANTHROPIC) + r"/messages(/count_tokens)?/?")
_OWN = [base for base in ANTHROPIC if base not in OPENAI and base.endswith("/v1")]
_MODELS = re.compile(pattern(*_OWN) + "/models(/.+)?")
_VERTEX = re.compile(
    r"(?:/v1)?/projects/[^/]+/locations/[^/]+/publishers/anthropic/models/"
    r"(?:([^/:]+):(rawPredict|streamRawPredict)|count-tokens:rawPredict)"
)
_BEDROCK = re.compile(r"/model/([^/]*(?:anthropic|claude)[^/]*)/(invoke|invoke-with-response-stream)")


class MessagesUrl(Struct, frozen=True):
    """What a URL states.

    route: MESSAGES or COUNT.
    model: the model in the URL.
    stream: whether a stream is requested, if the URL states it.
    dialect: the provider that has such URLs; None for Anthropic.
    binary: whether the stream is binary: AWS's event stream, which is not served.
    """

    route: str = MESSAGES
    model: str | None = None
    stream: bool | None = None
    dialect: Literal["vertex", "bedrock"] | None = None
    binary: bool = False


def target(path: str) -> Target | None:
    """The target of a path; None if it is not one of this API's."""
    if found := messages_url(path):
        return Target(found.route, found.model, "messages")
    if models := _MODELS.fullmatch(path):
        return Target(MODEL, unquote(models[1][1:]), "messages") if models[1] else Target(LIST, api="messages")
    return None


def messages_url(path: str) -> MessagesUrl | None:
    """What a path, without the query, states; None if it is not one of this API's."""
    if found := _ANTHROPIC.fullmatch(path):
        return MessagesUrl(COUNT if found[1] else MESSAGES)
    if found := _VERTEX.fullmatch(path):
        if found[1] is None or found[1] == "count-tokens":
            return MessagesUrl(COUNT, dialect="vertex")
        return MessagesUrl(MESSAGES, unquote(found[1]), found[2] == "streamRawPredict", "vertex")
    if found := _BEDROCK.fullmatch(path):
        return MessagesUrl(MESSAGES, unquote(found[1]), False, "bedrock", found[2] == "invoke-with-response-stream")
    return None
