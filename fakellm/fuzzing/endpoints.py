"""Where a client of an API sends its requests: the base URL that its SDK takes, and the path after it.

Owns the paths; knows no body.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.protocol import Settings
from fakellm.apis.route import CHAT, HOMES, REPLIES, Route, api_named
from fakellm.apis.variation import Variation
from fakellm.model.blocks import Choice, Completion, Stop, Text, ToolCall
from fakellm.model.request import Request

_OPENAI = ("chat", "completions", "responses")
"""The APIs whose clients take a base URL that ends in `/v1`; others take the server's address."""

_PATHS = {"gemini": "/v1beta/models/fakellm:streamGenerateContent?alt=sse"}
"""The paths of APIs whose URLs have a model or a mode in them."""


class Endpoint(Struct, frozen=True):
    """The path of the base URL, and what follows it in the URL of a request for a stream."""

    base: str
    path: str

    @property
    def url(self) -> str:
        """The path and the query of a request."""
        return self.base + self.path


def fuzzed_api(name: str) -> Route:
    """The API of this name. Raises ValueError if there is none."""
    if name not in HOMES:
        raise ValueError(f"there is no API {name!r}; the APIs are {', '.join(HOMES)}")
    return api_named(name)


@cache
def name_of(api: Route) -> str:
    """The name of an API in `when: {api: …}`, or its own if it is not one of fakellm's."""
    return next((name for name in HOMES if api_named(name) is api), api.name)


@cache
def endpoint_of(api: Route) -> Endpoint:
    """Where requests for streams of an API are sent."""
    name = name_of(api)
    base = "/v1" if name in _OPENAI else ""
    path = _PATHS.get(name) or next((path for path, known in REPLIES.items() if known == name), f"/v1/{name}")
    return Endpoint(base, path.removeprefix(base))


@cache
def example_request(api: Route) -> Request:
    """The API's example of a request for a stream."""
    return api.parse(json.dumps(api.example()).encode(), {}, endpoint_of(api).url)


def settings_of(api: Route, stream: Variation, dialect: str | None = None) -> Settings[Any]:
    """How a reply with this `stream:` block to the example is sent."""
    known = dialect if dialect in api.dialects else None
    return api.settings(stream, known, example_request(api), 0, False)


@cache
def keeps_order(api: Route) -> bool:
    """Whether the API can send text, a call and text again in this order."""
    blocks = (Text("a"), ToolCall("call_0", "f", "{}"), Text("b"))
    completion = Completion((Choice(blocks, Stop("tool_calls")),))
    habits = settings_of(api, Variation()).habits
    return len(api.expressible(completion, habits).choices[0].blocks) == len(blocks)


def with_usual_line_ends(stream: Variation, usual: Variation) -> Variation:
    """The `stream:` block with the usual line ends, unless its `sse` block, which replaces the usual one, sets any."""
    if stream.sse is None or usual.sse is None or stream.sse.line_end != "lf":
        return stream
    return replace(stream, sse=replace(stream.sse, line_end=usual.sse.line_end))


def with_less(stream: Variation) -> Iterator[Callable[[Variation], Variation | None]]:
    """What resets a field of a `stream:` block, or a field of a block in it; it returns None if that is not valid."""
    for name in stream.__struct_fields__:
        yield partial(_without, name=name)
    for name in ("sse", "transfer", "calls", "spelling"):
        block = getattr(stream, name)
        for field in () if block is None else block.__struct_fields__:
            yield partial(_without_inner, name=name, field=field)


def _without(block: Any, name: str) -> Any:
    fields = {each: getattr(block, each) for each in block.__struct_fields__ if each != name}
    try:
        return type(block)(**fields)
    except ValueError:
        return None


def _without_inner(stream: Variation, name: str, field: str) -> Variation | None:
    block = getattr(stream, name)
    smaller = None if block is None else _without(block, field)
    return None if smaller is None else replace(stream, **{name: smaller})


def has_effect(api: Route, stream: Variation) -> bool:
    """Whether a `stream:` block changes what the API sends."""
    return api is CHAT or settings_of(api, stream) != _plain_settings(api)


@cache
def _plain_settings(api: Route) -> Settings[Any]:
    return settings_of(api, Variation())
