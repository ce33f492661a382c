"""Tries the correct clients of each API on 20,000 cases of the profile `all`. It takes minutes, so no test does it.

``python -m tests.correct_clients [API]…`` prints a line for each client, and the rule of each failure. Exit code: 1 if
there is any.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module

from fakellm.apis.route import HOMES
from fakellm.fuzzing.clients.client_function import ClientFunction, FunctionClient
from fakellm.fuzzing.endpoints import fuzzed_api
from fakellm.fuzzing.reference_client import ReferenceClient
from fakellm.fuzzing.run import run
from fakellm.fuzzing.search import Search
from fakellm.scenarios.loader import dump
from fakellm.scenarios.scenario import Scenario
from tests.blind.chat import Chat
from tests.blind.messages import Messages
from tests.blind.responses import Responses

CASES = 20_000
CAREFUL = ("messages", "responses", "gemini", "ollama")
"""The APIs that have a careful client, written without fakellm's own readers. That of chat has no bound for a whole answer."""
BLIND = {"chat": Chat, "messages": Messages, "responses": Responses}
"""The clients that those of `tests.blind` are made of."""


def clients_of(api: str) -> Iterator[tuple[str, ClientFunction]]:
    """The correct clients of an API, by name."""
    yield "reference", ReferenceClient(2.0, api)
    if api in CAREFUL:
        yield "careful", import_module(f"tests.{api}.clients").Careful()
    if api in BLIND:
        yield "blind", BLIND[api]()


def main(apis: list[str]) -> int:
    """Tries all of them; 1 if one fails."""
    failed = False
    for api in apis:
        search = Search(profile="all", examples=CASES, seed=1, api=fuzzed_api(api), deadline=10.0)
        for name, client in clients_of(api):
            with closing(FunctionClient(client)) as tried:
                outcome = run(tried, search)
            failed = failed or bool(outcome.failures)
            print(f"{api}, {name}: {outcome.cases:,} cases, {len(outcome.failures)} failures", flush=True)
            for failure in outcome.failures:
                print(dump(Scenario(rules=(failure.case.rule,))), failure.case.verdict, flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(HOMES)))
