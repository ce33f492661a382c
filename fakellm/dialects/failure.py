"""Error bodies: what a provider says when it fails. Owns the usual type, code and message of each status.

https://platform.openai.com/docs/guides/error-codes. For a status that OpenAI documents without a body (408, 409, 413,
422, 502, 504) type and message are of its kind; 529 is Anthropic's and its gateways'.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from fakellm.dialects.dialect import JSON, Dialect, dumps

_OURS, _THEIRS = "invalid_request_error", "server_error"

_USUAL: dict[int, tuple[str, str | None, str]] = {
    400: (_OURS, None, "We could not understand your request."),
    401: (_OURS, "invalid_api_key", "Incorrect API key provided."),
    403: ("request_forbidden", "unsupported_country_region_territory", "Country, region, or territory not supported"),
    404: (_OURS, "model_not_found", "The model does not exist or you do not have access to it."),
    408: (_OURS, None, "The request took too long."),
    409: (_OURS, None, "The resource was changed by another request."),
    413: (_OURS, "request_too_large", "The body of the request is too large."),
    422: (_OURS, None, "The request is well formed, but it cannot be processed."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests"),
    500: (_THEIRS, None, "The server had an error while processing your request. Sorry about that!"),
    502: (_THEIRS, None, "Bad gateway."),
    503: (_THEIRS, None, "The engine is currently overloaded, please try again later"),
    504: (_THEIRS, None, "Gateway timeout."),
    529: ("overloaded_error", None, "Overloaded"),
}


class Failure(Struct, frozen=True):
    """What an error body says; what is not given is as usual for the status."""

    status: int
    message: str | None = None
    type: str | UnsetType | None = UNSET
    code: str | int | UnsetType | None = UNSET
    param: str | None = None


def error_fields(failure: Failure) -> JSON:
    """OpenAI's four fields, always all of them."""
    type_, code, message = _USUAL.get(
        failure.status, (_OURS if failure.status < 500 else _THEIRS, None, f"The request failed with {failure.status}.")
    )
    return {
        "message": message if failure.message is None else failure.message,
        "type": type_ if failure.type is UNSET else failure.type,
        "param": failure.param,
        "code": code if failure.code is UNSET else failure.code,
    }


def error_body(dialect: Dialect, failure: Failure) -> bytes:
    """The body of a response that failed, in OpenAI's shape, indented as the dialect does."""
    return dumps({"error": error_fields(failure)}, dialect.indent).encode() + b"\n" * bool(dialect.indent)
