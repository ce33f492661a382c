"""Operations that return no reply of a model: counting tokens, embeddings, models. Pure functions of the request.

https://ai.google.dev/api/tokens, https://ai.google.dev/api/embeddings, https://ai.google.dev/api/models, and for
`predict` https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from fakellm.apis.gemini.errors import body_of
from fakellm.apis.gemini.habits import AI_STUDIO
from fakellm.apis.gemini.requests.fields import BATCH_EMBED, COUNT, EMBED
from fakellm.apis.gemini.requests.parse import fields_of, invalid, json_object, messages, text_of
from fakellm.apis.gemini.urls import MODELS, ROUTE, mode
from fakellm.apis.openai.embeddings import vector
from fakellm.apis.openai.urls import LIST, MODEL
from fakellm.apis.operation import Operation, OperationRequest
from fakellm.base import tokenizer
from fakellm.base.budget import BUDGET, exceeded
from fakellm.base.errors import RequestError
from fakellm.wire.plan import Frame, Plan

_USUAL, _OLDER = 3072, 768
"""Numbers in a vector: for gemini-embedding-001 and later, and for models before it."""
_DIGITS = 30
"""Bytes of a number in the reply, with the space around it."""
_MOST_NUMBERS = 3072


def count_tokens(request: OperationRequest) -> Plan:
    """The tokens of a prompt, as usage counts them."""
    body = fields_of(json_object(request.body), COUNT)
    fields = {**body, **body.get("generateContentRequest", {})}
    texts = [message.text for message in messages(fields)]
    tokens = sum(3 + tokenizer.count(text) for text in texts)
    value: dict[str, Any] = {"totalTokens": tokens}
    if mode(request.url).vertex:
        value["totalBillableCharacters"] = sum(len("".join(text.split())) for text in texts)
    return _plan(value | {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]})


def embed(request: OperationRequest) -> Plan:
    """The vector of one content."""
    body = fields_of(json_object(request.body), EMBED)
    return _plan({"embedding": {"values": _values([body], request)[0]}})


def embed_many(request: OperationRequest) -> Plan:
    """The vectors of several contents."""
    bodies = fields_of(json_object(request.body), BATCH_EMBED).get("requests") or []
    if not bodies:
        raise invalid("* BatchEmbedContentsRequest.requests: at least one request is required\n", "requests")
    return _plan({"embeddings": [{"values": each} for each in _values(bodies, request)]})


def predict(request: OperationRequest) -> Plan:
    """The vectors of texts, as Vertex AI's embedding models return them."""
    body = json_object(request.body)
    instances, parameters = body.get("instances"), body.get("parameters")
    if not isinstance(instances, list) or not all(isinstance(each, dict) for each in instances):
        raise invalid("instances is not a list of objects", "instances")
    size = parameters.get("outputDimensionality") if isinstance(parameters, dict) else None
    texts = [str(each.get("content", "")) for each in instances]
    bodies = [{"content": {"parts": [{"text": text}]}, "outputDimensionality": size} for text in texts]
    made = zip(texts, _values(bodies, request), strict=True)
    return _plan(
        {
            "predictions": [
                {
                    "embeddings": {
                        "statistics": {"truncated": False, "token_count": tokenizer.count(text)},
                        "values": values,
                    }
                }
                for text, values in made
            ]
        }
    )


def listed(request: OperationRequest) -> Plan:
    """The models that the scenario names."""
    key = "publisherModels" if "/publishers/" in request.url else "models"
    return _plan({key: [_described(name) for name in request.models]})


def described(request: OperationRequest) -> Plan:
    """One model."""
    name = request.target.model or ""
    if not request.answers(name):
        message = f"models/{name} is not found for API version v1beta, or is not supported for generateContent."
        raise RequestError(404, f"{message} Call ListModels to see the list of available models.", "NOT_FOUND")
    return _plan(_described(name))


OPERATIONS: Mapping[str, Mapping[str, Operation]] = {
    f"{ROUTE}:countTokens": {"POST": count_tokens},
    f"{ROUTE}:embedContent": {"POST": embed},
    f"{ROUTE}:batchEmbedContents": {"POST": embed_many},
    f"{ROUTE}:predict": {"POST": predict},
    **{route: {"GET": listed} for route in (MODELS, LIST)},
    **{route: {"GET": described} for route in (ROUTE, MODEL)},
}
"""The operations by route and method."""


def _values(bodies: list[dict[str, Any]], request: OperationRequest) -> list[list[float]]:
    model = request.target.model or ""
    usual = _OLDER if model.startswith(("text-embedding", "embedding", "text-multilingual")) else _USUAL
    sizes = [_size(body) or _size(body.get("embedContentConfig") or {}) or usual for body in bodies]
    for size in sizes:
        if type(size) is not int or not 1 <= size <= _MOST_NUMBERS:
            raise invalid(f"output_dimensionality must be in range [1, {_MOST_NUMBERS}].", "outputDimensionality")
    if sum(sizes) * _DIGITS > BUDGET.reply_bytes:
        raise exceeded("reply_bytes", "requests")
    texts = [text_of((body.get("content") or {}).get("parts") or ()) for body in bodies]
    if "" in texts:
        raise invalid("* EmbedContentRequest.content: contents is not specified\n", "content")
    return [
        list(struct.unpack(f"<{size}f", vector(text, model, size, request.seed)))
        for text, size in zip(texts, sizes, strict=True)
    ]


def _size(body: dict[str, Any]) -> Any:
    return body.get("outputDimensionality")


def _described(name: str) -> dict[str, Any]:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "description": "A model that fakellm answers for.",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
    }


def _plan(value: dict[str, Any]) -> Plan:
    return Plan(200, (("Content-Type", AI_STUDIO.body_type),), (Frame(body_of(value)),))
