"""Which requests continue what their session keeps, and what of that is needed to answer them in any process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fakellm.engine.engine import Engine
from fakellm.engine.state import Session
from fakellm.model.request import Request
from fakellm.server.application import HttpRequest


def kept_for(session: Session[Engine], request: HttpRequest) -> Any:
    """What the session keeps of all that a request may continue; None for a request that continues nothing."""
    keeper = request.target.api.keeper
    if keeper is None or not keeper.refers(request.body):
        return None
    return keeper.part(session.store.open(keeper).read(), request.body)


def continuing(request: HttpRequest, kept: Any) -> Callable[[Request], Request] | None:
    """What makes the whole request of one that continues what is `kept`; None for any other request."""
    keeper = request.target.api.keeper
    return None if keeper is None or kept is None else partial(keeper.continued, kept=kept)
