"""How OpenAI spells a refused request. Knows no route: all of them refuse in the same shape.

https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from fakellm.base.errors import RequestError
from fakellm.base.json_text import dumps
from fakellm.wire.plan import Frame, Plan


def error_type(status: int) -> str:
    """OpenAI's `error.type` for an HTTP status, which SDKs and gateways map to their own errors."""
    return "invalid_request_error" if status < 500 else "server_error"


def refuse(error: RequestError) -> Plan:
    """The response to a refused request: an error body with all four fields.

    `x-should-retry: false` keeps SDKs from sending the request again: it would be refused again.
    """
    fields = {"message": error.message, "type": error_type(error.status), "param": error.param, "code": error.code}
    body = dumps({"error": fields}, 2).encode() + b"\n"
    headers = (("Content-Type", "application/json"), ("x-should-retry", "false"), *error.headers.items())
    return Plan(error.status, headers, (Frame(body),))
