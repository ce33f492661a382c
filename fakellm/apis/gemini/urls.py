"""Which URLs lead to the Gemini API, and what they state: the model, the operation, the framing, the provider.

AI Studio: `/v1beta/models/MODEL:generateContent`, also under `/v1`, and `tunedModels/ID` in place of `models/MODEL`.
Vertex AI: `/v1/projects/P/locations/L/publishers/google/models/MODEL:generateContent`, also under `/v1beta1`; its
express mode leaves out project and location; an endpoint of one's own stands for a model. A gateway's base path may
come first. A streamed reply is an array of frames, or with `alt=sse` server-sent events.
https://ai.google.dev/api/generate-content, https://cloud.google.com/vertex-ai/docs/reference/rest
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote

from msgspec import Struct

from fakellm.apis.target import Target

ROUTE = "/v1beta/models/{model}"
MODELS = "/v1beta/models"
METHODS = (
    "generateContent",
    "streamGenerateContent",
    "countTokens",
    "embedContent",
    "batchEmbedContents",
    "predict",
)
REPLIES = {f"{ROUTE}:{method}": "gemini" for method in METHODS[:2]}
"""The routes of requests for a reply."""

_VERSION = r"(?:/[^:]*?)?/v1(?:beta1|beta|alpha)?"
_MODEL = re.compile(
    rf"{_VERSION}/(?:(?P<vertex>(?:projects/[^/]+/locations/[^/]+/)?publishers/google/)?models/(?P<model>[^/:]+)"
    rf"|(?P<other>tunedModels/[^/:]+|projects/[^/]+/locations/[^/]+/(?:endpoints|models)/[^/:]+)):(?P<method>\w+)"
)
_LIST = re.compile(
    r"(?:/[^:]*?)?/v1(?:beta1|beta|alpha)(?:/publishers/google)?/(models|tunedModels)(?:/(?P<model>[^/:]+))?"
)


class Mode(Struct, frozen=True):
    """What a URL states beside the route.

    array: whether a stream is a JSON array. numbers: whether enums are sent as numbers.
    """

    model: str = ""
    stream: bool = False
    array: bool = False
    numbers: bool = False
    vertex: bool = False


def target(path: str) -> Target | None:
    """The target of a path; None if it is not one of the Gemini API."""
    path = unquote(path)
    if (found := _MODEL.fullmatch(path)) and found["method"] in METHODS:
        return Target(f"{ROUTE}:{found['method']}", found["model"] or found["other"], "gemini")
    if found := _LIST.fullmatch(path):
        return Target(ROUTE if found["model"] else MODELS, found["model"], "gemini")
    return None


def mode(url: str) -> Mode:
    """What a path with its query states."""
    path, _, query = url.partition("?")
    found = _MODEL.fullmatch(unquote(path))
    if not found:
        return Mode()
    parameters = parse_qs(query)
    alt = [each for name in ("alt", "$alt") for each in parameters.get(name, ())]
    stream = found["method"] == "streamGenerateContent"
    vertex = bool(found["vertex"] or (found["other"] or "").startswith("projects/"))
    return Mode(
        model=found["model"] or found["other"],
        stream=stream,
        array=stream and not any(each.startswith("sse") for each in alt),
        numbers=any("enum-encoding=int" in each for each in alt),
        vertex=vertex,
    )
