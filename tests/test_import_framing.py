"""How a recorded stream of any API is framed comes back: how it ends, and its comments."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakellm.apis.route import api_named
from fakellm.importing.importer import imported
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.scenarios.loader import dump, load
from fakellm.server.scenario_app import App, HttpRequest
from tests.conftest import respond
from tests.test_import import streamed

PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
}
HEADERS = {"anthropic-version": "2023-06-01"}


@pytest.mark.parametrize("api", PATHS)
@settings(max_examples=8, deadline=None)
@given(
    st.sampled_from(["blank_line", "line_end", "nothing"]),
    st.sampled_from(["lf", "crlf"]),
    st.sampled_from(["", " ", "  ", "ping"]),
)
def test_it_is_imported_by_meaning(api: str, ends_with: str, line_end: str, comment: str) -> None:
    sse: dict[str, Any] = {
        "ends_with": ends_with,
        "line_end": line_end,
        "insert": [{"before": [1], "comment": comment}],
    }
    served = App(load({"rules": [{"reply": {"content": "One moment"}, "stream": {"sse": sse}}]}))
    body = json.dumps(api_named(api).example()).encode()
    sent = respond(served, HttpRequest("POST", PATHS[api], body, HEADERS)).plan.body
    request = RecordedRequest("POST", f"https://example.com{PATHS[api]}", (), body)
    scenario, (report,) = imported([Cassette("a.yaml", (Interaction(request, streamed(sent)),))])
    assert (report.outcome, report.reason) == ("meaning", "")
    again = App(load(dump(scenario)), strict=True)
    assert respond(again, HttpRequest("POST", PATHS[api], body, HEADERS)).plan.body == sent
