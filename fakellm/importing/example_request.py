"""Makes up a request that matches a rule, to show its reply. Owns the values that the rule does not set."""

from __future__ import annotations

from typing import Any

from fakellm.apis.route import CHAT
from fakellm.base.json_text import dumps
from fakellm.model.request import Request
from fakellm.scenarios.matching import Pattern
from fakellm.scenarios.scenario import Rule


def sample(rule: Rule, turn: int | None = None) -> Request:
    """A request with the model, the texts, the tools, the results and the headers that `rule` requires, if these are
    plain: no text is made for a pattern. It is for a stream, unless the rule requires a whole body.
    """
    when = rule.when
    model = when.model if when.model and not set("*?[") & set(when.model) else rule.reply.model or "fake"
    system = [{"role": "system", "content": _plain(when.system)}] if when.system else []
    user = {"role": "user", "content": _plain(when.user or when.message) or "Hello"}
    turns = (turn or when.turn or (2 if when.result else 1)) - 1
    messages: list[dict[str, Any]] = [{"role": "assistant", "content": "Well."}, user] * turns
    if turns and when.result:
        messages = [*messages[:-2], *_results(rule)]
    body: dict[str, Any] = {"model": model, "messages": [*system, user, *messages], "stream": when.stream is not False}
    body["stream_options"] = {"include_usage": True}
    if when.tools:
        body["tools"] = [{"type": "function", "function": {"name": name}} for name in when.tools]
    headers = {name.lower(): _plain(text) for name, text in when.headers.items()}
    return CHAT.parse(dumps(body).encode(), headers)


def _plain(text: str | Pattern | None) -> str:
    return text if isinstance(text, str) else (text and text.exact) or ""


def _results(rule: Rule) -> list[dict[str, Any]]:
    """The calls of the tools whose results the rule requires, and those results."""
    calls, results = [], []
    for number, (name, text) in enumerate(rule.when.result.items()):
        calls.append({"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": "{}"}})
        results.append({"role": "tool", "tool_call_id": f"call_{number}", "content": _plain(text)})
    return [{"role": "assistant", "tool_calls": calls}, *results]
