"""Clients written without a look at the draws: the fuzzer finds each of them that a stream can show to be wrong.

``python -m tests.test_blind_clients`` tries each on a thousand cases of `all`, and prints the table of `blind.found`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import cache
from importlib import import_module
from itertools import islice
from pkgutil import iter_modules

import pytest

from fakellm.apis.route import Route
from fakellm.fuzzing.case_server import CaseServer
from fakellm.fuzzing.clients.client_function import FunctionClient
from fakellm.fuzzing.clients.client_under_test import CannotRunError
from fakellm.fuzzing.endpoints import fuzzed_api
from fakellm.fuzzing.run import run
from fakellm.fuzzing.running import case_order
from fakellm.fuzzing.search import Search
from fakellm.fuzzing.trial import Trial
from fakellm.scenarios.scenario import Rule
from tests import blind
from tests.blind.bug import BUGS, Bug
from tests.blind.chat import Chat
from tests.blind.found import FOUND, PLAIN, UNHARMED
from tests.blind.http import Http
from tests.blind.messages import Messages
from tests.blind.responses import Responses

for _module in iter_modules(blind.__path__):
    import_module(f"tests.blind.{_module.name}")

CASES = 1000
CLIENTS: dict[str, type[Http]] = {"chat": Chat, "messages": Messages, "responses": Responses}


def search(api: str) -> Search:
    return Search(profile="all", examples=CASES, api=fuzzed_api(api))


def bugs_of(api: str) -> list[Bug]:
    return [bug for bug in BUGS.values() if issubclass(bug.client, CLIENTS[api])]


@cache
def cases_of(api: str) -> list[Rule]:
    return list(islice(case_order.cases_of(search(api)), CASES))


def nearest(api: str, number: int) -> Iterator[Rule]:
    """All cases: the one with this number first, with the two before it, which the client may carry something over from."""
    cases = cases_of(api)
    yield from cases[max(number - 3, 0) : number]
    order = sorted(range(len(cases)), key=lambda place: abs(place - number))
    yield from (cases[place] for place in order)


def is_found(bug: Bug, server: CaseServer, api: Route, cases: Iterator[Rule]) -> bool:
    with closing(bug.client()) as client, closing(FunctionClient(client)) as tried:
        trial = Trial(tried, server, api)
        return any(trial.judge(rule).verdict.failed for rule in cases)


@pytest.mark.parametrize("api", CLIENTS)
def test_the_fuzzer_finds_them(api: str) -> None:
    route = fuzzed_api(api)
    with CaseServer(0, 5.0, route) as server:
        missed = [
            bug.name
            for bug in bugs_of(api)
            if bug.name in FOUND and not is_found(bug, server, route, nearest(api, FOUND[bug.name]))
        ]
    assert missed == []


@pytest.mark.parametrize("name", PLAIN)
def test_some_fail_on_a_plain_stream(name: str) -> None:
    api = next(api for api in CLIENTS if BUGS[name] in bugs_of(api))
    with pytest.raises(CannotRunError), CaseServer(0, 5.0, fuzzed_api(api)) as server:
        is_found(BUGS[name], server, fuzzed_api(api), iter(()))


@pytest.mark.parametrize("api", CLIENTS)
def test_the_client_that_they_are_made_of_passes(api: str) -> None:
    with closing(CLIENTS[api]()) as client:
        outcome = run(FunctionClient(client), Search(profile="all", examples=60, deadline=5.0, api=fuzzed_api(api)))
    assert outcome.failures == []


def test_each_of_them_is_accounted_for() -> None:
    assert sorted((*FOUND, *PLAIN, *UNHARMED)) == sorted(BUGS)
    assert all(bug.sentence and bug.clause for bug in BUGS.values())


def _number(bug: Bug, api: str) -> int | None:
    """The number of cases after which the bug is found; 0 on a plain stream, None if it is not found."""
    try:
        with closing(bug.client()) as client:
            outcome = run(FunctionClient(client), search(api))
    except CannotRunError:
        return 0
    return outcome.cases if outcome.failures else None


if __name__ == "__main__":
    for name in CLIENTS:
        for each in bugs_of(name):
            print(f'    "{each.name}": {_number(each, name)},', flush=True)
