"""Reads a recorded request: which API it belongs to, and what it asks of it.

Owns what stands for a request that was not recorded. Knows no responses.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from fakellm.apis.openai.urls import with_model
from fakellm.apis.route import CHAT, REPLIES, Route, api_named, target
from fakellm.importing.guess_provider import of_host
from fakellm.model.request import Request
from fakellm.recordings.cassette import RecordedRequest
from fakellm.recordings.request_identity import api, path_of

_WRITER = "chat"
"""Writer's path for chat, which at other hosts is the path of another API."""


def served_path(recorded: RecordedRequest) -> str | None:
    """The path and query at which fakellm serves a recorded request for a reply; None if it serves none."""
    tail = api(recorded.url)
    if tail == _WRITER and of_host(recorded.url) == "writer":
        tail = "chat/completions"
    _, mark, query = recorded.url.partition("#")[0].partition("?")
    if recorded.method.upper() in ("POST", "ANY"):
        for path in (path_of(recorded.url), f"/v1/{tail}"):
            if target(path).route in REPLIES:
                return path + mark + query
    return None


def route_of(path: str) -> Route:
    """The API that serves a path with its query."""
    return api_named(target(path_of(path)).api)


def request_of(recorded: RecordedRequest, path: str) -> Request:
    """The request, or if it was recorded without its body, one for a stream. Raises RequestError if its API refuses it.

    path: where it is served, with the query. Clients of Azure may name the model only there.
    """
    route = route_of(path)
    # One that does not request the usage, so that the rule itself sets that it is sent.
    example = {key: value for key, value in route.example().items() if key != "stream_options"}
    body = recorded.body or msgspec.json.encode(example)
    model = target(path_of(path)).model if route is CHAT else None
    request = route.parse(body if model is None else with_model(body, model), {}, path)
    return request if recorded.body else replace(request, model=request.model or "m")
