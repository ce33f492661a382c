"""How Google refuses a request without its API key, or with a wrong one. Imports none of the API.

A wrong key was recorded in 2026: status 400. Without a key, many report 403:
https://github.com/google-gemini/deprecated-generative-ai-python/issues/463
"""

from __future__ import annotations

from fakellm.apis.openai.api_keys import ACCEPTED, shortened
from fakellm.base.errors import RequestError

INVALID = "API_KEY_INVALID"
NOT_VALID = "API key not valid. Please pass a valid API key."


def refused(key: str | None, bearer: bool) -> RequestError:
    """The refusal of a request with this key; None: without any. `bearer`: it was sent as an OAuth token."""
    if key is None:
        message = (
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or "
            "other form of API consumer identity to call this API."
        )
        return RequestError(403, message, "PERMISSION_DENIED")
    if bearer:
        message = "Request had invalid authentication credentials. Expected OAuth 2 access token or an API key"
        return RequestError(401, f"{message}; got {shortened(key)}. {ACCEPTED}", "UNAUTHENTICATED")
    return RequestError(400, f"{NOT_VALID} Got {shortened(key)}. {ACCEPTED}", INVALID)
