"""The AI SDK reads what only one API has: tools that the provider runs, their results, and the sources of a text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import fakellm
from fakellm.testing.handle import Handle
from tests.clients.node_sdks import Program
from tests.clients.test_node_tasks import answers

URL = "https://example.org/oslo"
TEXT = "It is 3 °C."


def opaque(api: str, **value: Any) -> dict[str, Any]:
    return {"type": "opaque", "api": api, "value": value}


def text(api: str, **own: Any) -> dict[str, Any]:
    return {"type": "text", "text": TEXT, "own": {api: own}}


CITATION = {"type": "url_citation", "title": "Oslo", "url": URL, "start_index": 0, "end_index": 5}
FOUND = {"type": "web_search_result", "url": URL, "title": "Oslo", "encrypted_content": "x", "page_age": None}
CITED = {
    "type": "web_search_result_location",
    "url": URL,
    "title": "Oslo",
    "encrypted_index": "x",
    "cited_text": "3 °C",
}
SEARCH = {"id": "srvtoolu_01", "name": "web_search", "arguments": {"query": "Oslo"}}
REPLIES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "ai_sdk openai-chat": ({"content": TEXT, "annotations": [{"type": "url_citation", "url_citation": CITATION}]}, []),
    "ai_sdk openai": (
        {
            "blocks": [
                opaque(
                    "responses", type="web_search_call", status="completed", action={"type": "search", "query": "Oslo"}
                ),
                text("responses", annotations=[CITATION]),
            ]
        },
        ["web_search"],
    ),
    "ai_sdk anthropic": (
        {
            "blocks": [
                {"type": "tool_call", "kind": "server_tool_use", **SEARCH},
                opaque("messages", type="web_search_tool_result", tool_use_id="srvtoolu_01", content=[FOUND]),
                text("messages", citations=[CITED]),
            ]
        },
        ["web_search"],
    ),
    "ai_sdk google": (
        {
            "content": TEXT,
            "own": {"gemini": {"groundingMetadata": {"groundingChunks": [{"web": {"uri": URL, "title": "Oslo"}}]}}},
        },
        [],
    ),
}
"""By the program: a reply, and the tools whose results it has."""


@pytest.fixture(scope="module", params=REPLIES)
def program(request: pytest.FixtureRequest) -> Iterator[Program]:
    found = Program(request.param)
    yield found
    found.close()


@pytest.fixture
def server() -> Iterator[Handle]:
    with fakellm.serve() as handle:
        yield handle


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_sources_of_a_text(program: Program, server: Handle, stream: bool) -> None:
    reply, results = REPLIES[program.name]
    server.load({"rules": [{"reply": reply}]})
    (answer,) = answers(program.perform(server.url, stream))
    assert (answer["text"], set(answer["sources"]), answer["results"]) == (TEXT, {URL}, results)
