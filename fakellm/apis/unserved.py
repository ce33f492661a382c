"""What other servers have and fakellm does not: whose paths they are, how they are refused, and what is served instead.

Knows no handler. An unknown path belongs to the API whose paths begin or end like it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from msgspec import Struct

from fakellm.apis.base_paths import ANTHROPIC, OPENAI, pattern
from fakellm.apis.foreign import BEDROCK, COHERE
from fakellm.apis.refuser import Refuser


class Unserved(Struct, frozen=True):
    """Routes that are not served.

    what: what they are, as the refusal names it.
    api: the API whose error shape they have; None if several APIs have such routes.
    foreign: how they are refused, if fakellm does not have their API.
    instead: what is served in their place, as a sentence.
    """

    what: str
    api: str | None = None
    foreign: Refuser | None = None
    instead: str = (
        "It serves /v1/chat/completions, /v1/responses, /v1/completions, /v1/embeddings, /v1/moderations, /v1/models, "
        "/v1/messages, /v1beta/models/{model}:generateContent and /api/chat."
    )


_COHERE = Unserved(
    "Cohere's API",
    foreign=COHERE,
    instead="It serves the base path that Cohere has for OpenAI's SDKs, /compatibility/v1.",
)
_BEDROCK = Unserved(
    "Bedrock's Converse API and its binary streams",
    foreign=BEDROCK,
    instead="Of Bedrock's routes, it serves /model/{id}/invoke for Anthropic's models.",
)

_TAILS = {
    "responses": Unserved("this part of the Responses API", "responses"),
    "conversations": Unserved("this part of the Conversations API", "responses"),
    "chat/completions": Unserved("stored chat completions"),
    "assistants": Unserved("the Assistants API"),
    "threads": Unserved("the Assistants API"),
    "realtime": Unserved("the Realtime API"),
    "images": Unserved("pictures"),
    "audio": Unserved("speech"),
    "videos": Unserved("videos"),
    "files": Unserved("files"),
    "uploads": Unserved("files"),
    "batches": Unserved("batches"),
    "fine_tuning": Unserved("fine-tuning"),
    "vector_stores": Unserved("vector stores"),
    "containers": Unserved("containers"),
    "evals": Unserved("evals"),
}
"""By the path after one of OpenAI's base paths."""

_GOOGLE = r".*/v1(?:beta1?|alpha)?/"

_PATHS: tuple[tuple[str, Unserved], ...] = (
    (pattern(*ANTHROPIC) + "/messages/batches", Unserved("Anthropic's batches", "messages")),
    (pattern(*ANTHROPIC) + "/messages", Unserved("this part of the Messages API", "messages")),
    (pattern(*ANTHROPIC) + "/complete", Unserved("Anthropic's Text Completions API", "messages")),
    (".*/publishers/anthropic", Unserved("this part of the Messages API", "messages")),
    ("/ws/google[.]ai", Unserved("the Live API", "gemini")),
    (rf"{_GOOGLE}(?:projects/[^/]+/locations/[^/]+/)?cachedContents", Unserved("cached contents", "gemini")),
    (f"{_GOOGLE}interactions", Unserved("the Interactions API", "gemini")),
    (r".*/v1(?:beta1?|alpha)/files", Unserved("files", "gemini")),
    (r".*:(?:predictLongRunning|bidiGenerateContent)", Unserved("videos and the Live API", "gemini")),
    (r".*:(?:async)?[bB]atch\w+", Unserved("batches", "gemini")),
    ("/v[12]/(?:chat$|embed|rerank|generate|classify|summarize|tokenize|detokenize)|/rerank", _COHERE),
    ("/model/[^/]+/(?:converse|invoke|count-tokens)|/(?:async-invoke|guardrail|foundation-models)", _BEDROCK),
)
"""By the beginning of the whole path; the first one that matches."""

_OWNERS = (
    (r".*/v1(?:beta1?|alpha)(?!/openai(?:/|$))(?!/.*/endpoints/openapi)(?:/|$)|.*/models/[^/:]+:\w+$", "gemini"),
    (r"(?:/api)?/anthropic(?:/|$)", "messages"),
    (r"(?:/ollama)?/api(?!/v\d|/paas/|/coding/|/openai/|/anthropic)(?:/|$)(?!.*/completions$)", "ollama"),
)
"""The APIs that a path belongs to without being one of their routes."""


def unserved(path: str) -> Unserved | None:
    """What other servers have under a path that fakellm does not serve; None if that is not known."""
    plain = unquote(path)
    for known, found in _PATHS:
        if re.match(rf"(?:{known})(?!\w)", plain):
            return found
    return next((found for tail in _tails(path) for known, found in _TAILS.items() if _begins(tail, known)), None)


def owner(path: str) -> str | None:
    """The name of the API that a path belongs to that is not a route; None if any may."""
    if found := unserved(path):
        return found.api
    return next((api for known, api in _OWNERS if re.match(known, unquote(path))), None)


def _tails(path: str) -> Iterator[str]:
    """What follows a base path in a path, the longest base path first."""
    places = [place for place, each in enumerate(path[:_LONGEST]) if each == "/"]
    return (path[place + 1 :] for place in reversed(places) if _BASES.fullmatch(path[:place]))


def _begins(path: str, known: str) -> bool:
    return path == known or path.startswith(f"{known}/")


_BASES = re.compile(pattern(*OPENAI))
_LONGEST = 250
"""Characters of a base path."""
