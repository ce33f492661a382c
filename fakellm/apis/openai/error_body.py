"""OpenAI's spelling of a refusal. https://platform.openai.com/docs/guides/error-codes"""

from __future__ import annotations


def error_type(status: int) -> str:
    """OpenAI's `error.type` for an HTTP status; SDKs and gateways map it to their own errors."""
    return "invalid_request_error" if status < 500 else "server_error"
