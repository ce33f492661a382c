"""`GET /v1/models` and `GET /v1/models/{model}` as Anthropic answers them, with its pages.

https://platform.claude.com/docs/en/api/models/list
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from fakellm.apis.operation import OperationRequest
from fakellm.base.errors import RequestError
from fakellm.base.json_text import dumps
from fakellm.wire.plan import Frame, Plan

_USUAL, _MOST = 20, 1_000
"""Models on a page."""


def listed(request: OperationRequest) -> Plan:
    """A page of the models that the scenario names."""
    query = {name: values[0] for name, values in parse_qs(request.url.partition("?")[2]).items()}
    size, names = _size(query.get("limit")), list(request.models)
    if before := query.get("before_id"):
        names = names[: _place(names, before)]
        page, more = names[-size:], len(names) > size
    else:
        names = names[_place(names, query["after_id"]) + 1 :] if "after_id" in query else names
        page, more = names[:size], len(names) > size
    ends = {"first_id": page[0] if page else None, "has_more": more, "last_id": page[-1] if page else None}
    return _plan({"data": [_described(name) for name in page], **ends})


def described(request: OperationRequest) -> Plan:
    """One model."""
    name = request.target.model or ""
    if not request.answers(name):
        raise RequestError(404, f"model: {name}", None)
    return _plan(_described(name))


def _size(text: str | None) -> int:
    if text is None:
        return _USUAL
    if not text.isdecimal() or len(text) > 4:
        message = "limit: Input should be a valid integer, unable to parse string as an integer"
        raise RequestError(400, message, None, "limit")
    if not 1 <= int(text) <= _MOST:
        raise RequestError(400, f"limit: must be from 1 to {_MOST}; got {int(text)}", None, "limit")
    return int(text)


def _place(names: list[str], name: str) -> int:
    if name not in names:
        raise RequestError(400, f"after_id and before_id must be the id of a model; got {name!r}", None)
    return names.index(name)


def _described(name: str) -> dict[str, Any]:
    """One model; all have the same age."""
    return {"type": "model", "id": name, "display_name": name, "created_at": "2023-11-14T22:13:20Z"}


def _plan(value: dict[str, Any]) -> Plan:
    return Plan(200, (("Content-Type", "application/json"),), (Frame(dumps(value).encode()),))
