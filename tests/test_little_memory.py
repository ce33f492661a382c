"""A server with a gigabyte of memory answers or refuses what makes it work, and then serves others as before."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.conftest import chat

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit the address space")

GIGABYTE = 2**30
LIMITED = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({GIGABYTE}, {GIGABYTE}))
from fakellm.cli import main
main(["serve", "--port", "0", "--ready", "json", "--watch-stdin"])
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-c", LIMITED], stdin=-1, stdout=-1) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.stdin.close()
            assert process.wait(30) == 0, "it ends as it should, whatever it went through"


def schema(value: dict[str, Any]) -> bytes:
    output = {"type": "json_schema", "json_schema": {"name": "x", "schema": value}}
    return chat(response_format=output)


def aliases() -> bytes:
    """YAML whose values repeat one another a billion times."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)]
    return "\n".join(lines).encode()


BODIES: dict[str, tuple[bytes, set[int]]] = {
    "a pattern that repeats repeats": (schema({"type": "string", "pattern": "^((((a{9}){99}){99}){99})$"}), {400}),
    "empty groups": (schema({"type": "string", "pattern": "^((?:){20000}){20000}$"}), {400}),
    "a schema for a huge array": (schema({"type": "array", "minItems": 10**9, "items": {"type": "null"}}), {400}),
    "a schema for a long text": (schema({"type": "string", "minLength": 10**9}), {400}),
    "nesting": (b"[" * 10**6, {400}),
    "nesting that is closed": (chat(x=0)[:-2] + b"[" * 10**5 + b"]" * 10**5 + b"}", {200, 400}),
    "a number with a million digits": (chat(x=0)[:-2] + b"1" * 10**6 + b"}", {200, 400}),
    "choices with log probabilities": (chat(n=128, logprobs=True, top_logprobs=20), {200, 400}),
    "a long prompt": (chat(user="x " * 2**23), {200}),
    "a very long prompt": (chat(user="x " * (31 * 2**20)), {200, 400}),
    "many messages": (
        chat(
            messages=[{"role": "user", "content": "x"}] * 200_000, stream=True, stream_options={"include_usage": True}
        ),
        {200, 400},
    ),
    "a body that is too long": (b" " * (64 * 2**20 + 1), {413}),
}
SCENARIOS = {
    "aliases": aliases(),
    "padding": b"rules: [{reply: {content: a}, stream: {padding: 1000000000}}]",
    "a repeat in a pattern": b"rules: [{when: {user: {regex: 'a{99999999999}'}}, reply: {}}]",
    "a pattern that is nested": b"rules: [{when: {user: {regex: '" + b"(" * 5_000 + b")" * 5_000 + b"'}}, reply: {}}]",
    "many rules that are wrong": b"rules:\n" + b"- {replly: {}}\n" * 10_000,
}


def serves(url: str) -> bool:
    """Whether others are served as before, a stream and the journal of their session."""
    reply = httpx2.post(f"{url}/s/other/v1/chat/completions", content=chat(stream=True), timeout=60)
    journal = httpx2.get(f"{url}/s/other/_fakellm/journal", timeout=60)
    return reply.text.endswith("data: [DONE]\n\n") and journal.json()["entries"][-1]["status"] == 200


@pytest.mark.parametrize("name", BODIES)
def test_a_request_is_answered_or_refused(url: str, name: str) -> None:
    body, expected = BODIES[name]
    reply = httpx2.post(f"{url}/v1/chat/completions", content=body, timeout=60)
    assert reply.status_code in expected, reply.text[:500]
    assert reply.status_code == 200 or len(reply.json()["error"]["message"]) < 2_500
    assert httpx2.get(f"{url}/_fakellm/journal", timeout=90).status_code == 200
    assert serves(url)


@pytest.mark.parametrize("size", [60 * 2**20, 2**30])
def test_a_body_that_expands(url: str, size: int) -> None:
    body = gzip.compress(b"x" * 2**20) * (size // 2**20)
    reply = httpx2.post(f"{url}/v1/completions", content=body, headers={"content-encoding": "gzip"}, timeout=60)
    assert reply.status_code == (400 if size < 64 * 2**20 else 413)
    assert serves(url)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_refused(url: str, name: str) -> None:
    reply = httpx2.put(f"{url}/s/loaded/_fakellm/scenario", content=SCENARIOS[name], timeout=90)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_scenario")
    assert serves(url)


def test_the_journal_of_all_this_can_be_read(url: str) -> None:
    """It has 64 MiB of the requests above, in which secrets are searched."""
    entries = httpx2.get(f"{url}/_fakellm/journal", timeout=90).json()["entries"]
    assert entries
    assert serves(url)
