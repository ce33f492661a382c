"""How OpenAI's API refuses a request. Knows no route: all of them refuse in the same shape.

https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from fakellm.base.errors import RequestError
from fakellm.base.json_text import dumps
from fakellm.wire.plan import Frame, Plan


def refuse(error: RequestError) -> Plan:
    """The refusal, as an error body with all four fields.

    `x-should-retry: false` keeps SDKs from sending the request again: it would be refused again.
    """
    fields = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    body = dumps({"error": fields}, 2).encode() + b"\n"
    headers = (("Content-Type", "application/json"), ("x-should-retry", "false"), *error.headers.items())
    return Plan(error.status, headers, (Frame(body),))
