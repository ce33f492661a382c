"""Makes up a request that matches a rule, to show its reply. Owns the values that the rule does not set.

`example_body` spells it in each API.
"""

from __future__ import annotations

from fakellm.apis.route import REPLIES, Route, api_named
from fakellm.base.json_text import dumps
from fakellm.importing.example_body import ExampleConversation, body_of
from fakellm.model.request import Request
from fakellm.scenarios.matching import Pattern
from fakellm.scenarios.scenario import Rule

_GEMINI = {True: "streamGenerateContent?alt=sse", False: "generateContent"}


def api_of(rule: Rule, name: str | None = None) -> Route:
    """The API of the requests that a rule answers: its own, else the one of this name, else chat."""
    return api_named(rule.when.api or name or "chat")


def sample(rule: Rule, turn: int | None = None, api: str | None = None) -> Request:
    """A request with the model, the texts, the tools, the results and the headers that `rule` requires, if these are
    plain: no text is made for a pattern. It is for a stream, unless the rule requires a whole body.
    """
    route, conversation = api_of(rule, api), _conversation(rule, turn)
    body = dumps(body_of(conversation, rule.when.api or api or "chat")).encode()
    headers = {name.lower(): _plain(text) for name, text in rule.when.headers.items()}
    return route.parse(body, headers, path_of(route, conversation.model, conversation.stream))


def path_of(route: Route, model: str, stream: bool) -> str:
    """The path and query of a request for a reply; Gemini's have the model and the mode."""
    found = next(path for path, name in REPLIES.items() if api_named(name) is route)
    return f"/v1beta/models/{model}:{_GEMINI[stream]}" if "{model}" in found else found


def _conversation(rule: Rule, turn: int | None) -> ExampleConversation:
    when = rule.when
    return ExampleConversation(
        model=when.model if when.model and not set("*?[") & set(when.model) else rule.reply.model or "fake",
        system=_plain(when.system),
        user=_plain(when.user or when.message) or "Hello",
        turns=(turn or when.turn or (2 if when.result else 1)) - 1,
        results=tuple((name, _plain(text)) for name, text in when.result.items()),
        tools=when.tools or (),
        stream=when.stream is not False,
    )


def _plain(text: str | Pattern | None) -> str:
    return text if isinstance(text, str) else (text and text.exact) or ""
