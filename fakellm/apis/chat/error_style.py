"""How a provider reports errors, as data. Owns OpenAI's texts for each status, and the type for what differs.

`error_body` beside this file writes the bodies; each dialect sets where it differs. For each provider, some statuses
were recorded or reported; the others have the same shape, and their texts are plausible, not recorded.
https://platform.openai.com/docs/guides/error-codes. For a status that OpenAI documents without a body (408, 409, 413,
422, 502, 504) type and message are in OpenAI's style; 529 is sent by Anthropic and its gateways.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import UNSET, Struct

from fakellm.apis.protocol import Failure as Failure

JSON = dict[str, Any]
Body = Callable[[JSON, int], JSON]
"""A function from the four fields of an error (message, type, param, code) and its status to the JSON that is sent."""


_OURS, _THEIRS = "invalid_request_error", "server_error"

_OPENAI: dict[int, tuple[str, str | None, str]] = {
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


def fields_of(*keys: str) -> Body:
    """A Body with these fields of the error under the key `error`, in this order."""
    return lambda error, status: {"error": {key: error[key] for key in keys}}


class Errors(Struct, frozen=True):
    """A provider's habits in errors. The defaults are OpenAI's."""

    usual: tuple[Failure, ...] = ()
    """The texts of some statuses, if they are not OpenAI's; fields that are not set are OpenAI's."""
    code: Literal["word", "status", "digits"] = "word"
    """The value of `code`: a word, or, for a status without a usual word, the status as a number or as text."""
    body: Body = fields_of("message", "type", "param", "code")
    indents: Mapping[int, int] = {}
    """The indentation of the bodies of some statuses, if it is not that of a whole body."""
    ending: str = ""
    """The text after the JSON of a body."""
    types: Mapping[int, str] = {}
    """The Content-Type of some statuses, if it is not `application/json`."""
    frame: Literal["data", "chunk", "event"] = "data"
    """The shape of an error in a stream, as ``fakellm.faults.Error`` names them."""
    done: bool = True
    """Whether `[DONE]` follows an error in a stream."""

    def fields(self, failure: Failure) -> JSON:
        """The four fields of an error; those that the failure does not set are the usual ones of the status."""
        status = failure.status
        usual = next((each for each in self.usual if each.status == status), Failure(status))
        type_, code, message = _OPENAI.get(
            status, (_OURS if status < 500 else _THEIRS, None, f"The request failed with {status}.")
        )
        word = {"word": code, "status": status, "digits": str(status)}[self.code]
        return {
            "message": next(each for each in (failure.message, usual.message, message) if each is not None),
            "type": next(each for each in (failure.type, usual.type, type_) if each is not UNSET),
            "param": usual.param if failure.param is None else failure.param,
            "code": next(each for each in (failure.code, usual.code, word) if each is not UNSET),
        }
