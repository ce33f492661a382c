"""Estimates which requests take so long, whatever the scenario, that another process must answer them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fakellm.apis.openai.embeddings import milliseconds as embeddings_cost
from fakellm.apis.openai.moderations import milliseconds as moderations_cost
from fakellm.server.application import HttpRequest
from fakellm.server.processes.elsewhere import MOST_BODY, MOST_MILLISECONDS

_ESTIMATES: Mapping[str, Callable[[bytes], float]] = {
    "/v1/embeddings": embeddings_cost,
    "/v1/moderations": moderations_cost,
}


def is_long(request: HttpRequest) -> bool:
    """Whether another process must read a body and answer it, since that would hold up the event loop."""
    if len(request.body) > MOST_BODY:
        keeper = request.target.api.keeper
        return keeper is None or request.target.operation not in keeper.operations  # only this process has what is kept
    estimate = _ESTIMATES.get(request.target.operation)
    return bool(estimate and estimate(request.body) > MOST_MILLISECONDS)
