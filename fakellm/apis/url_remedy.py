"""What is wrong with a URL that is not a route, and which setting of the client mends it. Knows no handler."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fakellm.apis.openai.urls import ROUTES
from fakellm.apis.route import HOMES, REPLIES, target
from fakellm.apis.unserved import unserved


def remedy(path: str) -> str | None:
    """What is wrong with a path, and what to do, as a sentence; None if that is not known."""
    if (tidy := re.sub("/{2,}", "/", path).rstrip("/")) != path and target(tidy).known:
        return f"There is a slash too many: the route is {tidy}."
    if "/v1/v1/" in path and _known(once := path.replace("/v1/v1/", "/v1/", 1)):
        twice = "It has /v1 twice: your base URL ends in /v1 and your client adds it; remove it from the base URL"
        return f"{twice}. {_setting(once)}"
    base, azures, rest = path.partition("/openai/")
    if base and azures and target(azures + rest).known:
        return f"Your azure_endpoint ends in {base}: it must be the address of the server alone, without {base}."
    for route in (*ROUTES, "/responses", "/messages"):
        base, found, rest = path.partition(route)
        whole = target(base + route)
        if not found or not whole.known or whole.api == "gemini":
            continue
        if target(rest).known or (route in ROUTES and _known(rest)):
            return (
                f"Your base URL ends in {route}, and your client adds a route itself: it {_end(rest)}. {_setting(rest)}"
            )
    if what := unserved(path):
        return f"fakellm does not serve {what.what}. {what.instead}"
    return next(filter(None, (_shorter(f"/{tail}") for tail in _ends(path))), None)


def _ends(path: str) -> Iterator[str]:
    """What follows the last few slashes of a path, the longest text first."""
    parts = path.rsplit("/", _MOST_PARTS)
    return ("/".join(parts[place:]) for place in range(1, len(parts)))


_MOST_PARTS = 5
"""Parts of a route."""


_V1 = ("chat", "completions", "responses")
"""The APIs whose clients append their routes to a base URL that ends in /v1."""


def _known(path: str) -> bool:
    """Whether a path is a provider's route, whether or not fakellm serves it."""
    return target(path).known or unserved(path) is not None


def _shorter(path: str) -> str | None:
    """The remedy for a URL that ends in this path; None if it is not a route."""
    route = f"/v1{path}" if path in ROUTES else path
    if route not in REPLIES and path not in ROUTES:
        return None
    return f"The route is {route}: the base URL {_end(route)}. {_setting(route)}"


def _end(path: str) -> str:
    """What the base URL of a client that requests this path must be like."""
    return "must end in /v1" if target(path).api in _V1 else "must be the address of the server alone"


def _setting(path: str) -> str:
    """Where the SDK that requests this path has its base URL, as a sentence."""
    return f"Your base URL is in {HOMES[target(path).api].setting}."
