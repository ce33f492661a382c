"""The fuzzer on clients of Ollama's API: correct ones hold, and each wrong one is caught by one step."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

import fakellm
from fakellm.fuzzing import FuzzError
from fakellm.fuzzing.clients.client_function import ClientFunction
from fakellm.fuzzing.draws.profiles import profile
from fakellm.fuzzing.endpoints import endpoint_of, fuzzed_api
from fakellm.fuzzing.reference_client import ReferenceClient
from fakellm.fuzzing.saved_failures import Failures
from fakellm.fuzzing.search import Search
from fakellm.fuzzing.tiers import named
from tests.ollama import clients
from tests.saved_files import saved_files


@pytest.mark.parametrize("name", ["standard", "strict-sse", "contested", "faults", "all", "ollama-2024"])
def test_correct_clients_hold(name: str) -> None:
    with closing(ReferenceClient(1.0, "ollama")) as reference:
        for client in (clients.Careful(), reference):
            outcome = fakellm.fuzz(client, api="ollama", profile=name, examples=150, failures=None)
            assert (outcome.cases, outcome.failures, outcome.internal) == (150, [], {})
    assert "blocks" in outcome.compared


WRONG: dict[ClientFunction, tuple[str, ...]] = {
    clients.TakesReadsForLines(): ("transfer.cut",),
    clients.TakesAReadForOneLine(): ("transfer.cut",),
    clients.DecodesEachRead(): ("transfer.cut",),
    clients.SplitsAsPythonDoes(): ("error", "OllamaError"),
    clients.NeedsTheLastLineEnd(): ("sse.ends_with: nothing",),
    clients.TakesABlankLineForTheEnd(): ("sse.insert: blank_line",),
    clients.IgnoresErrors(): ("eof",),
    clients.TakesAnyEndForTheEnd(): ("eof",),
    clients.ReadsCallsFromTheLastLine(): ("differs", "tool_calls"),
    clients.IgnoresTheLastLine(): ("finish: last",),
    clients.ReadsOneCallOfALine(): ("together: calls",),
    clients.KeysCallsByTheirIndex(): ("calls.index: absent",),
    clients.ReadsEitherTextOrThinking(): ("together: parts",),
    clients.TakesAnEmptyLineForTheEnd(): ("padding",),
    clients.NeedsSixDigits(): ("ollama.fraction",),
    clients.NeedsDoneSecond(): ("spelling.order: sorted",),
}


@pytest.mark.parametrize(("client", "cause"), WRONG.items(), ids=lambda value: type(value).__name__)
def test_a_wrong_client_is_caught_by_one_step(client: ClientFunction, cause: tuple[str, ...]) -> None:
    with pytest.raises(FuzzError) as caught:
        fakellm.fuzz(client, api="ollama", profile="all", failures=None)
    (failure,) = caught.value.outcome.failures
    assert failure.cause == cause
    assert failure.case.rule.dialect is None
    assert "application/x-ndjson" in str(caught.value) or failure.case.rule.fault


def test_failures_are_saved_for_clients_of_this_api(tmp_path: Path) -> None:
    with pytest.raises(FuzzError) as caught:
        fakellm.fuzz(clients.IgnoresTheLastLine(), api="ollama", profile="standard", failures=tmp_path)
    assert "API ollama, profile standard" in str(caught.value)
    assert "J2" in str(caught.value)
    ((rule,), _) = Failures(tmp_path).rules(Search(api=fuzzed_api("ollama")))
    assert rule.stream.finish == "last"
    assert Failures(tmp_path).rules(Search()) == ([], 0)
    (file,) = saved_files(tmp_path)
    assert "api: ollama" in file.read_text()


def test_what_has_no_effect_is_not_drawn() -> None:
    families = profile("all", (), fuzzed_api("ollama")).families
    assert not {"sse.insert: comment", "obfuscation", "done", "transfer.content_type", "calls.order"} & set(families)
    assert {"ollama.fraction", "sse.insert: blank_line", "calls.index: zero"} <= set(families)


def test_rows_are_those_of_the_api() -> None:
    assert named("transfer.cut", "ollama").rows == ("J1",)
    assert named("padding", "ollama").rows == ()
    assert named("transfer.gzip", "ollama").rows == named("transfer.gzip").rows == ("A18",)


def test_where_requests_are_sent() -> None:
    assert endpoint_of(fuzzed_api("ollama")).url == "/api/chat"
    assert endpoint_of(fuzzed_api("chat")).url == "/v1/chat/completions"


def test_an_unknown_api_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no API 'x'; the APIs are chat, "):
        fakellm.fuzz(clients.Careful(), api="x")
    with pytest.raises(ValueError, match="there is no profile 'groq'"):
        fakellm.fuzz(clients.Careful(), api="ollama", profile="groq")
