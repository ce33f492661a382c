"""The environment variables of SDKs: which there are, and how a test's point to its session.

Owns their names. Knows no SDK's code.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import pytest

    from fakellm.testing.handle import Handle

KEY = "fakellm"

_OTHERS = ("GEMINI_API_KEY", "ANTHROPIC_FOUNDRY_RESOURCE", "AZURE_OPENAI_AD_TOKEN")
"""What SDKs do not accept beside the variables: Google's warn of two keys, and Anthropic's refuses two addresses."""

_TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
"""From which Python's SSL module, requests and Node take certificates to trust."""


def variables(url: str, ca: Path | None = None) -> dict[str, str]:
    """The variables from which SDKs take the URL and the key of a server, with those of the server at this root. `ca`:
    the file with the certificate that they must trust."""
    base_url = url + "/v1"
    trust = {} if ca is None else dict.fromkeys(_TRUST, str(ca))
    return {
        **trust,
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_BASE": base_url,  # LangChain, LiteLLM
        "OPENAI_API_KEY": KEY,
        "AZURE_OPENAI_ENDPOINT": url,
        "AZURE_OPENAI_API_KEY": KEY,
        "OPENAI_API_VERSION": "2024-10-21",  # without one, Azure's client does not start
        "AZURE_API_BASE": url,  # these three: LiteLLM
        "AZURE_API_KEY": KEY,
        "AZURE_API_VERSION": "2024-10-21",
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_FOUNDRY_BASE_URL": f"{url}/anthropic",
        "ANTHROPIC_FOUNDRY_API_KEY": KEY,
        "AWS_BEDROCK_BASE_URL": base_url,  # of OpenAI's SDK: Bedrock's endpoint that speaks OpenAI's APIs
        "AWS_BEARER_TOKEN_BEDROCK": KEY,
        "GOOGLE_GEMINI_BASE_URL": url,
        "GOOGLE_VERTEX_BASE_URL": url,
        "GOOGLE_API_KEY": KEY,
        "GEMINI_API_BASE": f"{url}/v1beta",  # LiteLLM
        "OLLAMA_HOST": url,
        "OLLAMA_API_BASE": url,  # LiteLLM
    }


def point_to(session: Handle, monkeypatch: pytest.MonkeyPatch, records: bool) -> None:
    """Sets the variables for a test. `records`: keys that there are stay, since they are for the real API."""
    own = {name for name in os.environ if name.endswith("_KEY")} if records else set()
    if "GEMINI_API_KEY" in own:
        own.add("GOOGLE_API_KEY")
    elif not records:
        for name in _OTHERS:
            monkeypatch.delenv(name, raising=False)
    for name, value in session.env.items():
        if name not in own:
            monkeypatch.setenv(name, value)
    host = urlsplit(session.url).hostname or "127.0.0.1"
    for name in ("NO_PROXY", "no_proxy"):  # where both are set, clients read either
        monkeypatch.setenv(name, ",".join(filter(None, [os.environ.get(name), host])))
