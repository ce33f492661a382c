"""Which URLs lead to a route, and the remedy for a URL that is not a route. Knows no handler.

Clients append the same few routes to their base URL. So each route is served under the usual base paths: `/v1`; none,
like DeepSeek and Perplexity; `/api/v1`, OpenRouter's; `/openai/v1`, Azure's and Groq's; `/openai`, Azure's older one,
whose other URLs name a deployment. https://learn.microsoft.com/azure/ai-foundry/openai/reference
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from urllib.parse import unquote

from fakellm.apis.target import Target

ROUTES = ("/chat/completions", "/completions", "/embeddings", "/moderations", "/models")
"""The paths that follow the base URL."""

MODEL = "/v1/models/{model}"

DEPLOYED = ("chat", "completions")
"""The APIs whose model may be a deployment's name in the URL; other APIs read their URLs themselves."""

_BASES = re.compile(r"/v1|/api/v1|/openai/v1|/openai|")
_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)(/chat/completions|/completions|/embeddings)")

_ELSEWHERE = {
    "responses": "this part of the Responses API",
    "conversations": "this part of the Conversations API",
    "messages/batches": "Anthropic's batches",
    "assistants": "the Assistants API",
    "threads": "the Assistants API",
    "images": "pictures",
    "audio": "speech",
    "files": "files",
    "batches": "batches",
    "fine_tuning": "fine-tuning",
    "vector_stores": "vector stores",
    "realtime": "the Realtime API",
    "chat/completions": "stored chat completions",
    "v2/chat": "Cohere's API",
    "v2/embed": "Cohere's API",
    "v2/rerank": "Cohere's API",
    "rerank": "Cohere's API",
    "model": "Bedrock's Converse API and its binary streams",
}
"""What other servers have and fakellm does not, by the path after the base URL."""


def target(path: str) -> Target:
    """The target of a path; its route is under `/v1`, or the path itself if it is not one of OpenAI's."""
    if found := _DEPLOYMENT.fullmatch(path):
        return _target("/v1" + found[2], unquote(found[1]))
    for route in ROUTES:
        base, tail, rest = path.partition(route)
        if tail and not rest and _BASES.fullmatch(base):
            return _target("/v1" + route)
        if route == "/models" and rest[1:] and _BASES.fullmatch(base) and rest[0] == "/":
            return Target(MODEL, unquote(rest[1:]))
    return Target(path)


def _target(route: str, model: str | None = None) -> Target:
    return Target(route, model, "completions" if route == "/v1/completions" else "chat")


def with_model(body: bytes, model: str) -> bytes:
    """The body of a request to a deployment; if it names no model, with the deployment's name as its model."""
    with suppress(ValueError, RecursionError):  # an invalid body is refused when it is parsed
        value = json.loads(body)
        if isinstance(value, dict) and value.get("model") is None:
            return json.dumps(value | {"model": model}).encode()
    return body


def remedy(path: str) -> str | None:
    """What is wrong with a URL that is not a route, and what to do, as a sentence; None if that is not known."""
    if (tidy := re.sub("/{2,}", "/", path).rstrip("/")) != path and _served(tidy):
        return f"There is a slash too many: the route is {tidy}."
    if "/v1/v1/" in path and _known(path.replace("/v1/v1/", "/v1/", 1)):
        return "It has /v1 twice: your base URL ends in /v1 and your client adds it; take it from the base URL."
    for route in ROUTES:
        base, found, rest = path.partition(route)
        if found and _BASES.fullmatch(base) and _known(rest):
            return f"Your base URL ends in {route}, and your client adds a route itself; let it end in /v1."
    for route in ROUTES:
        if path.endswith(route):
            return f"The route is /v1{route}: the base URL of this server ends in /v1."
    what = _elsewhere(path)
    return what and f"fakellm does not serve {what}."


def _served(path: str) -> bool:
    return target(path).route != path or path.removeprefix("/v1") in ROUTES


def _known(path: str) -> bool:
    """Whether a path is a provider's route, whether or not fakellm serves it."""
    return _served(path) or _elsewhere(path) is not None


def _elsewhere(path: str) -> str | None:
    """What other servers have under a path that fakellm does not serve."""
    tail = re.sub(r"^(/api|/openai)?(/v1)?/", "", path, count=1)
    for known, what in _ELSEWHERE.items():
        if f"{tail}/".startswith(f"{known}/") or f"{path[1:]}/".startswith(f"{known}/"):
            return what
    return None
