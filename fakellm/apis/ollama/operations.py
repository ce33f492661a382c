"""What Ollama's API answers besides replies: its models, its version, embeddings; and what it refuses, by name.

No recording shows these: their shapes are those of https://github.com/ollama/ollama/blob/main/docs/api.md and the
structs of `api/types.go` there. Everything about a model is drawn from its name.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from fakellm.apis.ollama import urls
from fakellm.apis.ollama.errors import JSON_TYPE
from fakellm.apis.ollama.requests.body import typed
from fakellm.apis.openai.embeddings import vector
from fakellm.apis.operation import Operation, OperationRequest
from fakellm.base import tokenizer
from fakellm.base.budget import BUDGET, exceeded
from fakellm.base.errors import RequestError
from fakellm.base.json_text import JSON, dumps
from fakellm.base.seed import HEX, Source
from fakellm.model.rfc3339 import rfc3339
from fakellm.wire.plan import Frame, Plan

VERSION = "0.12.6"
"""The release of Ollama that `/api/version` states."""
_DIMENSIONS = 768
_MODIFIED = 1_750_000_000 * 10**9
_DIGITS = 24
"""Bytes of a number in a vector, at most."""


class _Named(Struct, frozen=True):
    """The body of a request about a model, which older clients call its name."""

    model: str | None = None
    name: str | None = None


class _Embed(Struct, frozen=True):
    """The body of `/api/embed`."""

    model: str | None = None
    input: str | tuple[str, ...] | None = None
    dimensions: int | None = None


class _Embeddings(Struct, frozen=True):
    """The body of the older `/api/embeddings`."""

    model: str | None = None
    prompt: str | None = None


def tags(request: OperationRequest) -> Plan:
    """`GET /api/tags`: the models that the scenario names."""
    return _json({"models": [_listed(name, request.seed) for name in request.models]})


def running(request: OperationRequest) -> Plan:
    """`GET /api/ps`: the same models, loaded; none of them ever leaves the memory."""
    return _json({"models": [_loaded(name, request.seed) for name in request.models]})


def show(request: OperationRequest) -> Plan:
    """`POST /api/show`: one model."""
    body, _ = typed(request.body, _Named, "ShowRequest")
    name = body.model or body.name or ""
    if not name:
        raise RequestError(400, "model is required", None, "model")
    _known(name, request)
    details = _details(name, request.seed)
    value = {
        "modelfile": f"FROM {name}\n",
        "parameters": "",
        "template": "{{ .Prompt }}",
        "details": details,
        "model_info": {"general.architecture": details["family"], f"{details['family']}.context_length": 4096},
        "capabilities": ["completion", "tools", "thinking"],
        "modified_at": rfc3339(_MODIFIED, 0),
    }
    return _json(value)


def version(request: OperationRequest) -> Plan:
    """`GET /api/version`."""
    return _json({"version": VERSION})


def embed(request: OperationRequest) -> Plan:
    """`POST /api/embed`: a vector of length 1 for each text."""
    body, _ = typed(request.body, _Embed, "EmbedRequest")
    model = _model(body.model, request)
    texts = [body.input] if isinstance(body.input, str) else list(body.input or ())
    size = body.dimensions if body.dimensions and body.dimensions > 0 else _DIMENSIONS
    vectors = _vectors(texts if texts != [""] else [], model, size, request.seed)
    tokens = sum(map(tokenizer.count, texts))
    value: JSON = {"model": model, "embeddings": vectors}
    if vectors:
        source = Source(request.seed, "embed", model, *texts)
        load = source.draw("load", lambda each: each.between(10**6, 10**9))
        value |= {"total_duration": load + 10**6 * (1 + tokens), "load_duration": load, "prompt_eval_count": tokens}
    return _json(value)


def embeddings(request: OperationRequest) -> Plan:
    """`POST /api/embeddings`, the older route: one vector."""
    body, _ = typed(request.body, _Embeddings, "EmbeddingRequest")
    model = _model(body.model, request)
    vectors = _vectors([body.prompt] if body.prompt else [], model, _DIMENSIONS, request.seed)
    return _json({"embedding": vectors[0] if vectors else []})


def refused(request: OperationRequest) -> Plan:
    """What the server does not do: models cannot be downloaded, made or deleted."""
    raise RequestError(501, f"{request.target.route}: fakellm does not {urls.REFUSED[request.target.route]}.", None)


OPERATIONS: Mapping[str, Mapping[str, Operation]] = {
    "/api/tags": {"GET": tags},
    "/api/ps": {"GET": running},
    "/api/show": {"POST": show},
    "/api/version": {"GET": version},
    "/api/embed": {"POST": embed},
    "/api/embeddings": {"POST": embeddings},
    **{path: dict.fromkeys(("GET", "HEAD", "POST", "PUT", "DELETE"), refused) for path in urls.REFUSED},
}


def _json(value: JSON) -> Plan:
    return Plan(200, (("Content-Type", JSON_TYPE),), (Frame(dumps(value).encode()),))


def _model(name: str | None, request: OperationRequest) -> str:
    if not name:
        raise RequestError(404, f"model '{name or ''}' not found", None, "model")
    _known(name, request)
    return name


def _known(name: str, request: OperationRequest) -> None:
    if not request.answers(name):
        raise RequestError(404, f"model '{name}' not found", None, "model")


def _vectors(texts: list[str], model: str, size: int, seed: int) -> list[list[float]]:
    if len(texts) * size * _DIGITS > BUDGET.reply_bytes:
        raise exceeded("reply_bytes", "input")
    return [list(struct.unpack(f"<{size}f", vector(text, model, size, seed))) for text in texts]


def _listed(name: str, seed: int) -> JSON:
    source = Source(seed, "model", name)
    return {
        "name": name,
        "model": name,
        "modified_at": rfc3339(_MODIFIED + source.draw("modified", lambda each: each.below(10**9)), 9),
        "size": source.draw("size", lambda each: each.between(10**9, 10**10)),
        "digest": source.draw("digest", lambda each: each.text(HEX, 64)),
        "details": _details(name, seed),
    }


def _loaded(name: str, seed: int) -> JSON:
    value = {key: each for key, each in _listed(name, seed).items() if key != "modified_at"}
    return {**value, "expires_at": "2318-01-01T00:00:00Z", "size_vram": value["size"], "context_length": 4096}


def _details(name: str, seed: int) -> dict[str, Any]:
    family = name.rpartition("/")[2].partition(":")[0] or "fakellm"
    size = Source(seed, "model", name).draw("parameters", lambda each: each.choice(("1.2B", "3.2B", "8.0B", "20.9B")))
    return {
        "parent_model": "",
        "format": "gguf",
        "family": family,
        "families": [family],
        "parameter_size": size,
        "quantization_level": "Q4_K_M",
    }
