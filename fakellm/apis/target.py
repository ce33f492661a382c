"""The target of a request as an API understands it: the value that every API's `urls` makes of a path."""

from __future__ import annotations

from msgspec import Struct


class Target(Struct, frozen=True):
    """What a path stands for.

    route: its name in tables of routes, with `{…}` for what differs; the path itself if it is not a route of any API.
    model: the model or deployment in the path.
    api: the name of the API that parses and refuses requests to it, in `fakellm.apis.route`.
    id: the id of a stored object in the path.
    item: the id of an item of that object in the path.
    known: whether it is a route of any API.
    shared: whether it may be any API's: then the headers of the request tell which.
    """

    route: str
    model: str | None = None
    api: str = "chat"
    id: str | None = None
    item: str | None = None
    known: bool = True
    shared: bool = False
