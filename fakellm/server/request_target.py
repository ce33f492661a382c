"""Parses the request target of a request line (RFC 9112, 3.2): session, path, query, operation, model, API.

Knows which API a path belongs to; knows no handler.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import parse_qs, unquote

from msgspec import Struct

from fakellm.apis.openai import urls
from fakellm.apis.openai.legacy_completions import LEGACY_COMPLETIONS
from fakellm.apis.route import CHAT, Route

APIS: dict[str, Route] = {"/v1/chat/completions": CHAT, "/v1/completions": LEGACY_COMPLETIONS}
"""The APIs in which a model answers, by operation."""


class RequestTarget(Struct, frozen=True):
    """The parsed target of a request.

    session: its name; the name of the session at the root is empty.
    path: without the session's prefix and the query.
    operation: the path of the route in route tables, under `/v1`; the path itself if it is not a route.
    model: the model or deployment in the URL.
    api: the API that parses and refuses requests to the route; OpenAI's if the URL is unknown.
    control: whether the route is a control route of fakellm, which no provider has.
    shown: the whole target for the journal, the log and messages, in which secrets are overwritten.
    """

    session: str
    path: str
    query: str
    operation: str
    model: str | None
    api: Route
    control: bool
    shown: str

    @property
    def parameters(self) -> dict[str, str]:
        """The query's parameters; of several with the same name, the first."""
        return {name: values[0] for name, values in parse_qs(self.query).items()}


def session_and_path(path: str) -> tuple[str, str]:
    """The session's name and the rest: ``/s/<name>/v1/models`` is the models of the session <name>."""
    if path.startswith("/s/"):
        name, slash, rest = path.removeprefix("/s/").partition("/")
        return unquote(name), slash + rest
    return "", path


_HARMLESS = re.compile(r"(?:/v1(?=/|$)|[A-Za-z/_.-])*+")
"""Targets without a secret: they have no query, and every key has a digit."""


@lru_cache(maxsize=256)
def request_target(text: str) -> RequestTarget:
    """Parses the target in a request line: a path, with or without a query."""
    whole, _, query = text.partition("?")
    session, path = session_and_path(whole)
    target = urls.target(path)
    control = path.startswith("/_fakellm/")
    api = APIS.get(target.route, CHAT)
    return RequestTarget(session, path, query, target.route, target.model, api, control, _shown(text))


def _shown(text: str) -> str:
    if _HARMLESS.fullmatch(text):
        return text
    from fakellm.recordings.redaction import redacted_url  # most servers never need it

    return redacted_url(text)
