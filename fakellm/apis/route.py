"""The APIs by name, and which of them a path belongs to. An API is imported when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.chat.api import CHAT as CHAT
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.gemini import api_keys
from fakellm.apis.gemini import urls as gemini_urls
from fakellm.apis.messages.http import urls as messages_urls
from fakellm.apis.messages.http import version
from fakellm.apis.ollama import urls as ollama_urls
from fakellm.apis.openai import urls
from fakellm.apis.openai.api_keys import Refused
from fakellm.apis.protocol import Api
from fakellm.apis.responses import urls as responses_urls
from fakellm.apis.target import Target
from fakellm.apis.unserved import owner

Route = Api[Any]
"""Any API, whatever the type of its habits."""


class ApiHome(Struct, frozen=True):
    """Where an API is: its module, the object there, and the names of its dialects.

    check: raises RequestError for the headers of a request to a path of the API that it refuses, whatever the body.
    setting: where its SDKs have the base URL.
    key_refused: makes the refusal of a request without a valid API key, if it is not OpenAI's.
    """

    module: str
    attribute: str
    dialects: tuple[str, ...] = ()
    check: Callable[[Mapping[str, str], str], None] | None = None
    setting: str = "`base_url` or OPENAI_BASE_URL of OpenAI's SDKs"
    key_refused: Refused | None = None


HOMES: dict[str, ApiHome] = {
    "chat": ApiHome("fakellm.apis.chat.api", "CHAT", tuple(DIALECTS)),
    "completions": ApiHome("fakellm.apis.openai.legacy_completions", "LEGACY_COMPLETIONS"),
    "gemini": ApiHome(
        "fakellm.apis.gemini.api",
        "GEMINI",
        ("ai-studio", "vertex"),
        setting="`base_url` of `http_options` or GOOGLE_GEMINI_BASE_URL of Google's SDKs",
        key_refused=api_keys.refused,
    ),
    "messages": ApiHome(
        "fakellm.apis.messages.api",
        "MESSAGES",
        messages_urls.DIALECTS,
        version.check,
        "`base_url` or ANTHROPIC_BASE_URL of Anthropic's SDKs",
    ),
    "ollama": ApiHome(
        "fakellm.apis.ollama.api",
        "OLLAMA",
        ollama_urls.DIALECTS,
        setting="`host` or OLLAMA_HOST of Ollama's clients",
    ),
    "responses": ApiHome("fakellm.apis.responses.api", "RESPONSES", responses_urls.DIALECTS),
}
"""Each API, by its name in `when: {api: …}`."""

DIALECT_NAMES = tuple(sorted({name for home in HOMES.values() for name in home.dialects}))
"""The dialects of all APIs."""

if TYPE_CHECKING:
    ApiName = str
    DialectName = str
else:
    ApiName = Literal[tuple(HOMES)]
    DialectName = Literal[DIALECT_NAMES]
    """Names as types: a file with an unknown one is refused beside all its other problems."""

TARGETS: list[Callable[[str], Target | None]] = [
    *(gemini_urls.target, messages_urls.target, ollama_urls.target, responses_urls.target),
]
"""For each API with paths of its own, what a path is to it; None if it does not belong to it."""

REPLIES: dict[str, str] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    **gemini_urls.REPLIES,
    **dict.fromkeys(messages_urls.REPLIES, "messages"),
    **dict.fromkeys(ollama_urls.REPLIES, "ollama"),
    **dict.fromkeys(responses_urls.REPLIES, "responses"),
}
"""The routes to which requests for a reply are posted, and their APIs."""


@cache
def api_named(name: str) -> Route:
    """The API of this name."""
    home = HOMES[name]
    found: Route = getattr(import_module(home.module), home.attribute)
    return found


def target(path: str) -> Target:
    """The target of a path, without the prefix of a session and the query."""
    found = next((found for each in TARGETS if (found := each(path)) is not None), None) or urls.target(path)
    if found.known:
        return found
    api = owner(path)
    return replace(found, api=api or "chat", shared=api is None)


CLIENT_HEADERS = ("anthropic-version", "x-api-key", "x-goog-api-key")
"""The headers that tell whose client sent a request."""


def for_client(target: Target, headers: Mapping[str, str], query: str) -> Target:
    """The target of a request for a path that several APIs share: that of the API whose client sent it."""
    sent = {name.lower() for name in headers}
    if "anthropic-version" in sent or ("x-api-key" in sent and "authorization" not in sent):
        return replace(target, api="messages")
    if "x-goog-api-key" in sent or "key" in parse_qs(query):
        return replace(target, api="gemini")
    return target
