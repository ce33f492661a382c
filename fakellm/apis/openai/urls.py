"""Which URLs lead to a route of OpenAI's. Knows no handler.

Each route is served under every base path of `base_paths`. Azure's older URLs may name a deployment instead.
https://learn.microsoft.com/azure/ai-foundry/openai/reference
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from urllib.parse import unquote

from fakellm.apis.base_paths import OPENAI, pattern
from fakellm.apis.target import Target

ROUTES = ("/chat/completions", "/completions", "/embeddings", "/moderations", "/models")
"""The paths that follow the base URL."""

LIST, MODEL = "/v1/models", "/v1/models/{model}"
"""The routes of models, which other APIs answer in their own shape."""

DEPLOYED = ("chat", "completions")
"""The APIs whose model may be a deployment's name in the URL; other APIs read their URLs themselves."""

_BASES = re.compile(pattern(*OPENAI))
_SHARED = ("/v1", "")
"""The base paths under which other APIs list their models too."""
_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)(/chat/completions|/completions|/embeddings)")


def target(path: str) -> Target:
    """The target of a path; its route is under `/v1`, or the path itself if it is not one of OpenAI's."""
    if found := _DEPLOYMENT.fullmatch(path):
        return _target("/v1" + found[2], unquote(found[1]))
    for route in ROUTES:
        base, tail, rest = path.partition(route)
        if not tail or not _BASES.fullmatch(base):
            continue
        shared = route == "/models" and base in _SHARED
        if not rest:
            return _target("/v1" + route, shared=shared)
        if route == "/models" and rest[1:] and rest[0] == "/":
            return Target(MODEL, unquote(rest[1:]), shared=shared)
    return Target(path, known=False)


def _target(route: str, model: str | None = None, shared: bool = False) -> Target:
    return Target(route, model, "completions" if route == "/v1/completions" else "chat", shared=shared)


def with_model(body: bytes, model: str) -> bytes:
    """The body of a request to a deployment; if it names no model, with the deployment's name as its model."""
    with suppress(ValueError, RecursionError):  # an invalid body is refused when it is parsed
        value = json.loads(body)
        if isinstance(value, dict) and value.get("model") is None:
            return json.dumps(value | {"model": model}).encode()
    return body
