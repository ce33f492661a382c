"""The `response` object: the parameters of the request with the defaults of the provider, around the output.

Owns the defaults that OpenAI adds to parameters and tools, as recorded in 2025 and 2026. Knows no events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fakellm.apis.responses.dialects.dialect import ResponsesDialect
from fakellm.base.json_text import JSON

_SAME = (
    *("background", "frequency_penalty", "instructions", "max_output_tokens", "max_tool_calls", "parallel_tool_calls"),
    *("presence_penalty", "previous_response_id", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"),
    *("service_tier", "store", "temperature", "tool_choice", "top_logprobs", "top_p", "truncation", "user", "metadata"),
)
"""The parameters that are repeated unchanged; a null one has its default."""

DEFAULTS: Mapping[str, Any] = {
    "background": False,
    "error": None,
    "frequency_penalty": 0.0,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "moderation": None,
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "safety_identifier": None,
    "service_tier": "auto",
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}

KEYS = (
    *("id", "object", "created_at", "status", "background", "billing", "completed_at", "content_filters"),
    *("conversation", "error", "frequency_penalty", "incomplete_details", "instructions", "max_output_tokens"),
    *("max_tool_calls", "model", "moderation", "output", "parallel_tool_calls", "presence_penalty"),
    *("previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_retention", "reasoning"),
    *("safety_identifier", "service_tier", "store", "temperature", "text", "tool_choice", "tool_usage", "tools"),
    *("top_logprobs", "top_p", "truncation", "usage", "user", "metadata"),
)
"""The keys of OpenAI's object of 2026, in their order."""
COMPUTED = ("id", "object", "created_at", "status", "completed_at", "error", "incomplete_details", "model", "output")
"""The keys that neither the request nor the provider sets."""


def repeated(body: Mapping[str, Any], dialect: ResponsesDialect, model: str) -> JSON:
    """The part of the object that repeats a request's body, with the defaults of the model that answers."""
    found: JSON = {**DEFAULTS, **dialect.defaults}
    found.update((key, body[key]) for key in _SAME if body.get(key) is not None)
    text = body.get("text")
    found["reasoning"] = _reasoning(body.get("reasoning"), dialect, model)
    found["text"] = _text(text if isinstance(text, dict) else {}, dialect.defaults.get("text", {}))
    tools = [each for each in body.get("tools") or () if isinstance(each, dict)]
    found["tools"] = [tool(each) if dialect.tools == "with_defaults" else _as_sent(each) for each in tools]
    if conversation := body.get("conversation"):
        found["conversation"] = conversation if isinstance(conversation, dict) else {"id": conversation}
    if isinstance(body.get("prompt"), dict):
        found["prompt"] = {"id": None, "variables": {}, "version": None} | body["prompt"]
    return found


def _as_sent(sent: JSON) -> JSON:
    """A tool as it was sent; a function also has `strict`."""
    return {**sent, "strict": sent.get("strict")} if sent.get("type") == "function" else sent


def _reasoning(sent: Any, dialect: ResponsesDialect, model: str) -> JSON | None:
    """The `reasoning` of the object; OpenAI shows which summary `auto` means."""
    usual = dialect.defaults.get("reasoning", {"effort": None, "summary": None})
    if usual is None and not isinstance(sent, dict):
        return None
    effort = dialect.effort(model)
    found: JSON = {**(usual or {}), **({"effort": effort} if effort else {}), **(sent or {})}
    if effort and found.get("summary") == "auto":
        found["summary"] = "detailed"
    return found


def _text(text: Mapping[str, Any], usual: Mapping[str, Any]) -> JSON:
    form = text.get("format") or {"type": "text"}
    if isinstance(form, dict) and form.get("type") == "json_schema":
        form = {
            "type": "json_schema",
            "description": form.get("description"),
            "name": form.get("name"),
            "schema": form.get("schema"),
            "strict": form.get("strict", True),
        }
    verbosity = {"verbosity": text.get("verbosity") or usual.get("verbosity")} if usual or "verbosity" in text else {}
    return {"format": form, **verbosity}


def tool(sent: JSON) -> JSON:
    """A tool of the request with the defaults that the response adds, `type` first and the rest alphabetical."""
    kind = sent.get("type")
    add = _TOOLS.get(kind) if isinstance(kind, str) else None
    added = add(sent) if add else {}
    found = {key: value for key, value in sent.items() if value is not None or key not in added} | {
        key: value for key, value in added.items() if sent.get(key) is None or key == "user_location"
    }
    return {"type": kind, **{key: found[key] for key in sorted(found) if key != "type"}}


_PLACE = {"type": "approximate", "city": None, "country": "US", "region": None, "timezone": None}


def _search(sent: JSON) -> JSON:
    place = sent.get("user_location")
    located = {"user_location": {**_PLACE, "country": None, **place}} if isinstance(place, dict) else {}
    return {"search_context_size": "medium", "user_location": _PLACE, **located}


_TOOLS: Mapping[str, Callable[[JSON], JSON]] = {
    "function": lambda sent: {"description": None, "parameters": None, "strict": True},
    "custom": lambda sent: {"description": None, "format": {"type": "text"}},
    "web_search": lambda sent: {"filters": None, **_search(sent)},
    "web_search_preview": _search,
    "file_search": lambda sent: {
        "filters": None,
        "max_num_results": 20,
        "ranking_options": {"ranker": "auto", "score_threshold": 0.0},
    },
    "mcp": lambda sent: {
        "allowed_tools": None,
        "headers": None,
        "require_approval": "always",
        "server_description": None,
    },
}
