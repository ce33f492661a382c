"""The headers of each dialect: those that its provider was recorded with, or OpenAI's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakellm.apis.responses.urls import DIALECTS
from fakellm.scenarios.loader import load
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from tests.conftest import respond

OWN: dict[str, set[str]] = {
    "azure": {
        "x-request-id",
        "apim-request-id",
        "x-ms-region",
        "x-ratelimit-remaining-tokens",
        "azureai-fe-offer-type",
    },
    "xai": {"x-request-id", "x-ratelimit-limit-requests", "x-data-retention", "x-zero-data-retention"},
    "openrouter": {"cf-ray", "server", "referrer-policy"},
    "deepseek": {"x-ds-trace-id", "server"},
    "bedrock-mantle": {"x-amzn-requestid", "x-request-id"},
}
OPENAI = {"openai-version", "openai-processing-ms"}


def headers(dialect: str | None, text: str = "a", seed: int = 0, **rule: Any) -> dict[str, str]:
    rules = [{"reply": {"content": "b"}, **({"dialect": dialect} if dialect else {}), **rule}]
    request = HttpRequest("POST", "/v1/responses", json.dumps({"model": "m", "input": text}).encode())
    plan = respond(App(load({"rules": rules}), seed=seed), request).plan
    assert len(dict(plan.headers)) == len(plan.headers)
    return {name.lower(): value for name, value in plan.headers}


@pytest.mark.parametrize("dialect", [None, *DIALECTS])
def test_a_dialect_has_the_headers_of_its_provider(dialect: str | None) -> None:
    found = headers(dialect)
    expected = OWN.get(dialect or "", OPENAI)
    assert found.keys() >= {*expected, "x-fakellm-rule", "access-control-allow-origin"}
    assert not found.keys() & OPENAI - expected


@pytest.mark.parametrize("dialect", OWN)
def test_they_come_from_the_seed_and_the_request(dialect: str) -> None:
    assert headers(dialect) == headers(dialect)
    ids = [found for found in OWN[dialect] if found.endswith("id") or found == "cf-ray"]
    for name in ids:
        assert len({headers(dialect)[name], headers(dialect, "other")[name], headers(dialect, seed=1)[name]}) == 3


def test_after_a_rate_limit_nothing_is_left_and_a_faults_own_header_is_kept() -> None:
    fault = {"kind": "status", "status": 429, "headers": {"x-ms-region": "Mars"}}
    found = headers("azure", fault=fault)
    assert (found["x-ratelimit-remaining-requests"], found["x-ms-region"]) == ("0", "Mars")
