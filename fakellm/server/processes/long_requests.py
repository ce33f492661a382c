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
    """Whether reading a body and answering it would hold up the event loop."""
    estimate = _ESTIMATES.get(request.target.operation)
    return len(request.body) > MOST_BODY or bool(estimate and estimate(request.body) > MOST_MILLISECONDS)
