"""`GET /v1/models` and `GET /v1/models/{model}`: descriptions of the models of a session.

https://platform.openai.com/docs/api-reference/models
"""

from __future__ import annotations

from collections.abc import Sequence

from fakellm.base.errors import RequestError
from fakellm.base.json_text import JSON
from fakellm.base.validation import shortened


def listed(names: Sequence[str]) -> JSON:
    """The list of these models."""
    return {"object": "list", "data": [described(name) for name in names]}


def described(name: str) -> JSON:
    """One model. All have the same owner and the same time of creation, in Unix seconds."""
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "fakellm"}


def unknown(name: str) -> RequestError:
    """The refusal of a model that does not exist: https://platform.openai.com/docs/guides/error-codes"""
    message = f"The model {shortened(name)} does not exist: no rule answers for it."
    return RequestError(404, message, "model_not_found", "model")
