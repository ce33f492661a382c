"""Parses the request target of a request line (RFC 9112, 3.2): session, path, query, operation, model, API.

Knows which API a path belongs to; knows no handler.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import parse_qs, unquote

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.refuser import Refuser
from fakellm.apis.route import Route, api_named, for_client
from fakellm.apis.route import target as target_of
from fakellm.apis.target import Target
from fakellm.apis.unserved import unserved


class RequestTarget(Struct, frozen=True):
    """The parsed target of a request.

    session: its name; the name of the session at the root is empty.
    path: without the session's prefix and the query.
    route: what the path stands for.
    control: whether the route is a control route of fakellm, which no provider has.
    shared: whether the headers decide which API the route belongs to: see `of_client`.
    shown: the whole target for the journal, the log and messages, in which secrets are overwritten.
    """

    session: str
    path: str
    query: str
    route: Target
    control: bool
    shared: bool
    shown: str

    @property
    def operation(self) -> str:
        """The path of the route in route tables; the path itself if it is not a route."""
        return self.route.route

    @property
    def model(self) -> str | None:
        """The model or deployment in the URL."""
        return self.route.model

    @property
    def api(self) -> Route:
        """The API that parses requests to the route; OpenAI's if the URL may be any API's."""
        return api_named(self.route.api)

    @property
    def refuser(self) -> Refuser:
        """What refuses requests to the route, in the error shape of the API that it belongs to."""
        found = None if self.route.known else unserved(self.path)
        return found.foreign if found and found.foreign else self.api

    def of_client(self, headers: Mapping[str, str]) -> RequestTarget:
        """The target for the client that sends these headers, if several APIs share the path."""
        return replace(self, route=for_client(self.route, headers, self.query))

    @property
    def url(self) -> str:
        """The path and the query, without the session's prefix."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def parameters(self) -> dict[str, str]:
        """The query's parameters; of several with the same name, the first."""
        return {name: values[0] for name, values in parse_qs(self.query, keep_blank_values=True).items()}


METRICS = "/metrics"
"""The only control route outside /_fakellm: it is where Prometheus looks first."""


def session_and_path(path: str) -> tuple[str, str]:
    """The session's name and the rest: ``/s/<name>/v1/models`` is the models of the session <name>."""
    if path.startswith("/s/"):
        name, slash, rest = path.removeprefix("/s/").partition("/")
        return unquote(name), slash + rest
    return "", path


_HARMLESS = re.compile(r"(?:/v1(?=/|$)|[A-Za-z/_.-])*+")
"""Targets without a secret: they have no query, and every key has a digit."""


_OF_A_REQUEST = re.compile(r"/_fakellm/requests/([^/]+)(/.*)?")
"""The control routes of one request, by its number."""


@lru_cache(maxsize=256)
def request_target(text: str) -> RequestTarget:
    """Parses the target in a request line: a path, with or without a query."""
    whole, _, query = text.partition("?")
    session, path = session_and_path(whole)
    route, control = target_of(path), f"{path}/".startswith("/_fakellm/") or path == METRICS
    if control and (found := _OF_A_REQUEST.fullmatch(path)):
        route = replace(route, route=f"/_fakellm/requests/{{number}}{found[2] or ''}", id=found[1])
    return RequestTarget(session, path, query, route, control, route.shared and not control, _shown(text))


def _shown(text: str) -> str:
    if _HARMLESS.fullmatch(text):
        return text
    from fakellm.recordings.redaction import redacted_url  # most servers never need it

    return redacted_url(text)
