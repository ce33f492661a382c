"""The pytest plugin: one server per test process, a new session for each test.

Owns the two fixtures and the failures at the end of a test. Every pytest run in an environment with this package
imports this file, so it imports nothing slow until a fixture is used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fakellm.testing.handle import Handle

with suppress(ImportError):  # a run without these fixtures does not need the server
    import_module("fakellm.base")  # from here on, missing names are explained if the package is damaged


@pytest.fixture(scope="session")
def fakellm_server() -> Iterator[Handle]:
    """A fake LLM server for the whole test run, in a thread; one per xdist worker."""
    import fakellm
    import fakellm.base  # explains the error if another distribution has overwritten this package

    with fakellm.serve() as server:
        yield server


def _session_name(test: str) -> str:
    """The name of a test's session: readable, short enough for a URL, and another one for each test."""
    from hashlib import blake2b

    digest = blake2b(test.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{digest}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', test)[-100:]}"


@pytest.fixture
def fakellm(
    fakellm_server: Handle, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Handle]:
    """A session for this test, to which the environment variables of the usual SDKs point.

    It answers with generated text until a scenario is loaded, and from then on only with that scenario: a request that
    no rule matches is refused and fails the test at its end. So does a request to an unknown URL.
    """
    session = fakellm_server.session(_session_name(request.node.nodeid), strict=True)
    for name, value in session.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)  # see `Handle.env`
    monkeypatch.setenv("NO_PROXY", ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])))
    yield session
    unmatched, dropped = session.unmatched()
    session.reset()
    if errors := session.raised():
        from fakellm.testing.functions import raise_first

        raise_first(errors)
    if unmatched or dropped:
        lines = [f"earlier requests, which the journal no longer has: {dropped}"] if dropped else []
        lines += [f"request {entry.number}, {entry.method} {entry.path}: {entry.explanation}" for entry in unmatched]
        pytest.fail("fakellm: no rule answered\n" + "\n".join(lines), pytrace=False)
