"""The parameters of `POST /v1/messages` and `/v1/messages/count_tokens`, with their types.

The types of blocks and tools that change most often, those of server tools and betas, are not checked beyond their
`type`. https://platform.claude.com/docs/en/api/messages/create
"""

from __future__ import annotations

from fakellm.apis.messages.requests.checks import (
    Check,
    anything,
    fields,
    flag,
    integer,
    invalid,
    many,
    mapping,
    number,
    tagged,
    text,
    text_or,
    unset_or,
    word,
)

_CACHE = unset_or(fields({"type": word("ephemeral")}, {"ttl": word("5m", "1h"), "scope": anything, "evict": anything}))
_CACHED: dict[str, Check] = {"cache_control": _CACHE}
_TYPE: dict[str, Check] = {"type": text}

_TEXT = fields({**_TYPE, "text": text}, {**_CACHED, "citations": anything})
_SOURCE = tagged(
    {
        "base64": fields({**_TYPE, "media_type": text, "data": text}, {}),
        "url": fields({**_TYPE, "url": text}, {}),
        "file": fields({**_TYPE, "file_id": text}, {}),
        "text": fields({**_TYPE, "media_type": text, "data": text}, {}),
        "content": fields({**_TYPE, "content": anything}, {}),
    }
)
_IMAGE = fields({**_TYPE, "source": _SOURCE}, {**_CACHED, "transformations": anything})
_DOCUMENT = fields(
    {**_TYPE, "source": _SOURCE},
    {**_CACHED, "citations": anything, "context": unset_or(text), "title": unset_or(text)},
)
_CALL: dict[str, Check] = {**_TYPE, "id": text, "name": text, "input": mapping}

BLOCKS: dict[str, Check] = {
    "text": _TEXT,
    "image": _IMAGE,
    "document": _DOCUMENT,
    "thinking": fields({**_TYPE, "signature": text, "thinking": text}, {}),
    "redacted_thinking": fields({**_TYPE, "data": text}, {}),
    "tool_use": fields(_CALL, {**_CACHED, "caller": anything, "toolset_name": anything}),
    "tool_result": fields(
        {**_TYPE, "tool_use_id": text},
        {
            **_CACHED,
            "content": text_or(many(tagged({"text": _TEXT, "image": _IMAGE, "document": _DOCUMENT}, others=anything))),
            "is_error": flag,
            "toolset_name": anything,
        },
    ),
    "server_tool_use": fields(_CALL, {**_CACHED, "caller": anything}),
    "mcp_tool_use": fields({**_CALL, "server_name": text}, _CACHED),
    **dict.fromkeys(
        (
            *("search_result", "container_upload", "mcp_tool_result", "web_search_tool_result"),
            *("web_fetch_tool_result", "code_execution_tool_result", "bash_code_execution_tool_result"),
            *("text_editor_code_execution_tool_result", "tool_search_tool_result", "tool_reference"),
            *("advisor_tool_result", "browser_state", "compaction", "fallback", "mid_conversation_system"),
        ),
        anything,
    ),
}
"""The blocks of a message, by type."""

_PARTS = fields({"role": text, "content": text_or(many(tagged(BLOCKS)))}, {})


def _message(value: object, place: str) -> None:
    """A message; for one that is not even an object, the API has a wording of its own."""
    if not isinstance(value, dict):
        raise invalid(place, "Input does not match the expected shape.")
    _PARTS(value, place)


_CUSTOM = fields(
    {"name": text, "input_schema": mapping},
    {
        **_TYPE,
        **_CACHED,
        "description": text,
        "strict": flag,
        "defer_loading": flag,
        "eager_input_streaming": unset_or(flag),
        "allowed_callers": many(text),
        "input_examples": many(mapping),
    },
)


def _tool(value: object, place: str) -> None:
    """A tool of the client; a tool of Anthropic has a type, and is checked no further."""
    mapping(value, place)
    if isinstance(value, dict) and value.get("type") not in (None, "custom"):
        text(value["type"], f"{place}.type")
        return
    if isinstance(value, dict):
        _CUSTOM({key: each for key, each in value.items() if key != "type"}, f"{place}.custom")


_PARALLEL: dict[str, Check] = {"disable_parallel_tool_use": flag}
_DISPLAY: dict[str, Check] = {"display": unset_or(word("summarized", "omitted", "updates"))}  # the last in a beta

_PROMPT: dict[str, Check] = {
    "system": text_or(many(tagged({"text": _TEXT}))),
    "tools": many(_tool),
    "tool_choice": tagged(
        {
            "auto": fields(_TYPE, _PARALLEL),
            "any": fields(_TYPE, _PARALLEL),
            "tool": fields({**_TYPE, "name": text}, _PARALLEL),
            "none": fields(_TYPE, {}),
        }
    ),
    "thinking": tagged(
        {
            "enabled": fields({**_TYPE, "budget_tokens": integer(1024)}, _DISPLAY),
            "disabled": fields(_TYPE, {}),
            "adaptive": fields(_TYPE, _DISPLAY),
            "between_tools": fields(_TYPE, _DISPLAY),
        }
    ),
    "output_config": fields({}, {"effort": unset_or(text), "format": unset_or(mapping), "task_budget": anything}),
    **_CACHED,
    **dict.fromkeys(
        (
            *("output_format", "mcp_servers", "context_management", "compaction", "speed", "betas"),
            *("user_profile_id", "workspace_id", "anthropic_version", "anthropic_beta"),
        ),
        anything,
    ),
}
"""What counts towards the input, besides the messages."""

CREATE = fields(
    {"model": text, "messages": many(_message), "max_tokens": integer(1)},
    {
        **_PROMPT,
        "stream": unset_or(flag),
        "temperature": unset_or(number(0, 1)),
        "top_p": unset_or(number(0, 1)),
        "top_k": unset_or(integer(0)),
        "stop_sequences": unset_or(many(text)),
        "metadata": fields({}, {"user_id": unset_or(text)}),
        "service_tier": word("auto", "standard_only"),
        **dict.fromkeys(
            (
                *("container", "diagnostics", "inference_geo", "billing_policy", "thread", "fallbacks"),
                "fallback_credit_token",
            ),
            anything,
        ),
    },
)
COUNT = fields({"model": text, "messages": many(_message)}, _PROMPT)
