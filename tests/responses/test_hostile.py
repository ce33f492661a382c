"""Whatever a client sends is answered or refused, and whatever a rule has of this API's own is sent or left out."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fakellm import Rule, Scenario
from fakellm.apis.responses import urls
from fakellm.apis.responses.api import RESPONSES
from fakellm.apis.responses.dialects.providers import DIALECTS
from fakellm.apis.responses.requests.body import ResponsesBody
from fakellm.apis.variation import Variation
from fakellm.engine.engine import Engine
from fakellm.engine.response import Response
from fakellm.engine.ruleset import Ruleset
from fakellm.model.blocks import Opaque, Text, Thinking
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.reply_blocks import CallBlock
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.sse import Decoder
from tests.conftest import respond

WORDS = ("function", "custom", "message", "json_schema", "web_search", "allowed_tools", "required", "grammar", "\ud800")
NAMES = (
    *("type", "name", "id", "role", "content", "text", "format", "schema", "parameters", "tools", "mode", "summary"),
    *("syntax", "definition", "call_id", "output", "arguments", "user_location", "status", "annotations", "action"),
    *("code", "outputs", "encrypted_content", "input", "phase"),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)
PATHS = (urls.CREATE, urls.INPUT_TOKENS, urls.COMPACT, urls.CONVERSATIONS, "/v1/conversations/conv_1/items")


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(ResponsesBody.__struct_fields__), JSON, max_size=4), st.sampled_from(PATHS))
def test_any_request_is_answered_or_refused(body: dict[str, Any], path: str) -> None:
    data = json.dumps({"model": "gpt-5", "input": "Hi", **body}).encode()
    assert respond(App(), HttpRequest("POST", path, data)).plan.status in (200, 400, 404)


KINDS = ("message", "reasoning", "function_call", "code_interpreter_call", "mcp_call", "web_search_call", "x", "", None)
OWNS = st.dictionaries(st.just("responses"), st.dictionaries(st.sampled_from(NAMES), JSON, max_size=3))
BLOCKS = st.one_of(
    st.builds(
        lambda kind, value: Opaque("responses", {**value, "type": kind}),
        st.sampled_from(KINDS),
        st.dictionaries(st.sampled_from(NAMES), JSON, max_size=5),
    ),
    st.builds(Text, st.text(max_size=3), st.just(()), st.sampled_from(["", "i"]), OWNS),
    st.builds(Thinking, st.just(("a",)), st.just(()), st.text(max_size=2), OWNS),
    st.builds(CallBlock, st.just("f"), st.just("{}"), own=OWNS),
)


@settings(max_examples=300, deadline=None)
@example((Opaque("responses", {"type": "reasoning", "encrypted_content": True}),), "azure", False)
@example((Opaque("responses", {"type": "reasoning", "encrypted_content": [None]}),), "openai", True)
@given(st.lists(BLOCKS, min_size=1, max_size=4).map(tuple), st.sampled_from(sorted(DIALECTS)), st.booleans())
def test_any_block_is_sent_or_left_out(blocks: Any, dialect: str, stream: bool) -> None:
    rule = Rule(reply=Reply(blocks=blocks), dialect=dialect, stream=Variation(split="tokens"))
    engine = Engine(Ruleset(Scenario(rules=(rule,))), 0, True)
    data = json.dumps({"model": "gpt-5", "input": "Hi", "stream": stream}).encode()
    response = engine.respond(engine.match(data, RESPONSES, {}))
    assert isinstance(response, Response)
    sent = response.plan.body
    if stream:
        assert '"response.completed"' in Decoder().feed(sent.replace(b"data: [DONE]\n\n", b""))[-1].data.replace(
            " ", ""
        )
    else:
        assert json.loads(sent)["object"] == "response"
