"""Whatever a request asks for, the event loop is free: long work is refused by the name of a limit, or done elsewhere."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import pytest

import fakellm
from fakellm import Reply, Rule, Scenario, When
from fakellm.base import budget
from fakellm.base.budget import Budget
from fakellm.base.errors import RequestError, ScenarioError
from fakellm.engine.response import Work, respond
from fakellm.model.request import Request
from fakellm.scenarios.loader import load
from fakellm.scenarios.matching import Pattern
from fakellm.scenarios.reply import Computed
from fakellm.server.application import HttpRequest
from fakellm.server.control import entry_matches
from fakellm.server.hosting import Hosted
from fakellm.server.offload import responded
from fakellm.server.one_request import routes, rule_routes
from fakellm.server.processes import answering, elsewhere, worker
from fakellm.server.processes.workers import WORKERS, WorkEndedError, Worker, Workers, search_path
from fakellm.server.scenario_app import App
from fakellm.wire.plan import Frame, Plan
from tests.conftest import ROOT, chat, handled, post
from tests.loop_turns import loop_turns, measured

pytestmark = measured

CHAT = "/v1/chat/completions"
MOST = 0.02
"""CPU seconds that the event loop may spend in one callback."""
SLOW = "^(a+)+$"
LONG = "a" * 40 + "!"


def prompt(text: str, **fields: Any) -> bytes:
    return chat(messages=[{"role": "user", "content": text}], **fields)


def schema(value: Any, **fields: Any) -> bytes:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": value}}
    return chat(response_format=form, **fields)


def tool(number: int) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": f"f{number}", "parameters": parameters}}


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", **fields}).encode()


WIDE = {"type": "object", "properties": {f"p{number}": {"type": "string"} for number in range(200)}}
ANSWERED: dict[str, tuple[str, bytes]] = {
    "a limit that is only a maximum": (CHAT, chat(max_tokens=10**9)),
    "many choices": (CHAT, chat(n=128, stream=True)),
    "log probabilities": (CHAT, chat(n=20, logprobs=True, top_logprobs=20)),
    "a long prompt": (CHAT, prompt("some words " * 100_000)),
    "a wide schema": (CHAT, schema(WIDE)),
    "many tools": (CHAT, chat(tools=[tool(number) for number in range(60)])),
    "an enum": (CHAT, schema({"enum": [f"v{number}" for number in range(20_000)]})),
    "a pattern": (CHAT, schema({"type": "string", "pattern": "^[a-z]{2000}$"})),
    "stops": (CHAT, chat(stop=[f"stop {number}" for number in range(100_000)])),
    "moderations": ("/v1/moderations", body(input=["a"] * 1_000)),
    "embeddings": ("/v1/embeddings", body(input=["a"] * 40)),
    "prompts": ("/v1/completions", body(prompt=["a"] * 200, echo=True, logprobs=5)),
}
REFUSED: dict[str, tuple[str, bytes, str]] = {
    "choices": (CHAT, chat(n=10**6), "128"),
    "nested repeats": (CHAT, schema({"type": "string", "pattern": "^((?:){20000}){20000}$"}), "pattern_steps"),
    "repeats in names": (CHAT, schema({"patternProperties": {"^((a?){20000}){20000}$": {}}}), "pattern_steps"),
    "long texts": (
        CHAT,
        schema({"type": "array", "minItems": 3000, "items": {"type": "string", "minLength": 20_000}}),
        "generated_characters",
    ),
    "numbers": ("/v1/embeddings", body(input=["a"] * 2048, dimensions=8192), "reply_bytes"),
    "inputs": ("/v1/moderations", body(input=["a"] * 10**5), "inputs"),
    "a long body that is not JSON": (CHAT, b"[" * 200_000, "nested too deeply"),
    "a long body to nowhere": ("/v1/nowhere", b" " * 10**6, "Unknown request URL"),
}


@pytest.fixture(scope="module", autouse=True)
def only_the_servers_garbage() -> Iterator[None]:
    """The garbage collector, which also runs in the loop's thread, does not look at what pytest and other tests have
    made: a server in a process of its own has none of it."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def hosted() -> Iterator[Hosted]:
    with Hosted(App()) as served:
        post(served.url + CHAT, schema(WIDE))  # what is imported once is not part of what is measured
        post(served.url + CHAT, schema({"type": "string"}))
        yield served


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_long_is_answered_while_the_loop_is_free(hosted: Hosted, name: str) -> None:
    path, sent = ANSWERED[name]
    with loop_turns(hosted.loop) as turns:
        response = post(hosted.url + path, sent)
    assert response.status_code == 200
    turns.check(MOST)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_too_long_is_refused_with_the_name_of_the_limit(hosted: Hosted, name: str) -> None:
    path, sent, limit = REFUSED[name]
    with loop_turns(hosted.loop) as turns:
        response = post(hosted.url + path, sent)
    assert response.status_code in (400, 404)
    assert limit in response.json()["error"]["message"]
    assert response.headers["x-should-retry"] == "false"
    turns.check(MOST)


def test_the_name_of_the_parameter_is_in_the_refusal(hosted: Hosted) -> None:
    path, sent, _ = REFUSED["nested repeats"]
    assert post(hosted.url + path, sent).json()["error"]["param"] == "response_format.json_schema.schema"
    path, sent, _ = REFUSED["inputs"]
    error = post(hosted.url + path, sent).json()["error"]
    assert (error["param"], error["code"]) == ("input", "limit_exceeded")


def test_a_schema_loads_its_library_beside_the_loop() -> None:
    code = """
import asyncio, sys
from fakellm.engine.response import Work
from fakellm.server.application import HttpRequest
from fakellm.server.offload import offload
from fakellm.server.scenario_app import App
assert "jsonschema" not in sys.modules
work, _ = App().handle(HttpRequest("POST", "/v1/chat/completions", sys.stdin.buffer.read()))
assert isinstance(work, Work) and "jsonschema" not in sys.modules
print(work.then(asyncio.run(offload(work.run))).head.status)
"""
    sent = schema({"type": "string"})
    assert subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True).stdout == b"200\n"


def test_placeholders_cannot_multiply_a_prompt_without_limit() -> None:
    app = App(Scenario(rules=(Rule(Reply(content="{{user}}" * 1_500, template=True)),)))
    with Hosted(app) as served, loop_turns(served.loop) as turns:
        for size in (50_000, 100_000):  # a body that the loop parses, and one that it does not
            response = post(served.url + CHAT, prompt("x" * size))
            assert (response.status_code, response.json()["error"]["code"]) == (400, "limit_exceeded")
    turns.check(MOST)


def test_a_long_response_is_sent_while_the_loop_is_free() -> None:
    """asyncio copies what a client has not read, so all of it at once would hold up everything else."""
    app = App(Scenario(rules=(Rule(Reply(content="x" * 58_000_000)),)))
    with Hosted(app) as served, loop_turns(served.loop) as turns:
        assert len(post(served.url + CHAT, chat()).content) > 58_000_000
    turns.check(MOST)


def test_a_response_has_a_limit() -> None:
    most = Budget().reply_bytes
    with pytest.raises(RequestError, match=f"reply_bytes is {most:,}"):
        answering.apart(respond(Plan(200, (), (Frame(bytes(most)),))))  # and the head


# The same bytes


RULES = """
rules:
- name: counted
  when: {user: {regex: ^twice}}
  reply: {content: 'one {{attempt}}'}
  then: [{reply: {content: 'two', template: true}}]
- name: chatty
  when: {user: chatty}
  reply: {content: "TEXT"}
  stream: {split: 3}
- name: header
  when: {user: header, headers: {x-run: a}}
  reply: {content: found}
""".replace("TEXT", "some words of a long reply " * 400)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", [*ANSWERED, "chatty", "header", "unmatched"])
def test_another_process_gives_the_same_bytes(name: str, stream: bool) -> None:
    path, sent = ANSWERED.get(name, (CHAT, prompt(f"{name} {'x' * 70_000}")))
    if path == CHAT:
        sent = json.dumps(json.loads(sent) | {"stream": stream}).encode()
    request = HttpRequest("POST", path, sent, {"x-run": "a"})
    here, there = App(load(RULES)), App(load(RULES))
    here.offloads = False
    expected, entry = handled(here, request)
    actual, other = handled(there, request)
    assert actual == expected
    assert (other.rule, other.status, other.frames) == (entry.rule, entry.status, entry.frames)


def test_attempts_at_a_long_prompt_are_counted() -> None:
    app = App(load(RULES))
    request = HttpRequest("POST", CHAT, prompt("twice " + "x" * 70_000))
    replies = [json.loads(handled(app, request)[0].plan.body)["choices"][0]["message"]["content"] for _ in range(3)]
    assert replies == ["one {{attempt}}", "two", "two"]


def test_a_function_gets_a_long_prompt() -> None:
    def reply(request: Request) -> str:
        return f"{len(request.user)} characters"

    app = App(Scenario(rules=(Rule(Computed(function=reply)),)))
    sent = handled(app, HttpRequest("POST", CHAT, prompt("x" * 70_000)))[0].plan.body
    assert json.loads(sent)["choices"][0]["message"]["content"] == "70000 characters"


def test_the_journal_keeps_a_long_body() -> None:
    with fakellm.serve() as server:
        post(server.base_url + "/chat/completions", prompt("x" * 70_000))
        post(server.base_url + "/chat/completions", b'{"a": "' + b"x" * 70_000)
        post(server.base_url + "/chat/completions", b"[1]" + b" " * 70_000)
        first, second, third = server.journal
    assert first.request["messages"][0]["content"] == "x" * 70_000
    assert second.request == '{"a": "' + "x" * 70_000
    assert third.request == [1]
    assert (first.status, second.status, third.status) == (200, 400, 400)


def test_a_long_request_without_a_key_is_refused() -> None:
    with fakellm.serve(api_key="k") as server:
        assert post(server.base_url + "/chat/completions", prompt("x" * 70_000)).status_code == 401


# Loading


def many(count: int) -> bytes:
    rules = (
        f"- name: r{number}\n  when: {{user: {{regex: 'order {number} (now|later)'}}}}\n  reply: {{content: 'a{number}'}}\n"
        for number in range(count)
    )
    return ("rules:\n" + "".join(rules)).encode()


def test_a_long_scenario_is_loaded_while_the_loop_is_free(hosted: Hosted) -> None:
    with loop_turns(hosted.loop) as turns:
        response = httpx2.put(hosted.url + "/s/many/_fakellm/scenario", content=many(1_000), timeout=60)
        found = post(hosted.url + "/s/many" + CHAT, prompt("order 999 now"))
        hosted_models = httpx2.get(hosted.url + "/s/many/v1/models", timeout=60)
    assert response.json() == {"scenario": "scenario", "rules": 1_000, "strict": False}
    assert found.headers["x-fakellm-rule"] == "r999"
    assert hosted_models.json()["data"][0]["id"] == "fakellm"
    turns.check(MOST)


def test_a_long_scenario_with_errors_is_refused_with_their_places(hosted: Hosted) -> None:
    sent = many(1_000) + b"- {reply: {contents: a}}\n"
    response = httpx2.put(hosted.url + "/s/wrong/_fakellm/scenario", content=sent, timeout=60)
    with pytest.raises(ScenarioError) as expected:
        load(sent.decode())
    assert response.status_code == 400
    assert response.json()["error"]["message"].count("\n") == str(expected.value).count("\n")
    assert "contents" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        ("{reply: {content: a}, stream: {padding: 1000000000}}", "padding"),
        ("{reply: {content: a}, stream: {padding: [{count: 1000000000}]}}", "count"),
        ("{reply: {content: a}, fault: {kind: only_comments, count: 1000000000}}", "count"),
    ],
)
def test_a_number_that_multiplies_chunks_has_a_limit(rule: str, place: str) -> None:
    with pytest.raises(ScenarioError, match=rf"{place}: expected integer <= 100000, got 1000000000"):
        load(f"rules:\n- {rule}\n")


@pytest.mark.parametrize("regex", ["(" * 10_000 + ")" * 10_000, "a{99999999999}"])
def test_a_regular_expression_that_python_cannot_compile_is_refused(regex: str) -> None:
    with pytest.raises(ScenarioError, match="is not a regular expression"):
        load(f"rules:\n- when: {{user: {{regex: '{regex}'}}}}\n  reply: {{content: a}}\n")


# Time


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Work may take one second, until the fixture is undone."""
    short = Budget(work_seconds=1)
    monkeypatch.setattr(budget, "BUDGET", short)
    for module in (elsewhere, entry_matches):
        monkeypatch.setattr(module, "BUDGET", short)
    return monkeypatch


SLOW_BODIES = {
    "enum": schema({"type": "string", "pattern": SLOW, "enum": [LONG, "ok"]}),
    "default": schema({"type": "string", "pattern": SLOW, "default": LONG}),
    "names": schema({"propertyNames": {"pattern": SLOW}, "properties": {LONG: {}}, "required": [LONG]}),
    "lookahead": schema({"type": "string", "pattern": "^(?=(a+)+$)a{40}!$"}),
}


@pytest.mark.parametrize("name", SLOW_BODIES)
def test_what_takes_too_long_is_ended_while_others_are_served(name: str, impatient: pytest.MonkeyPatch) -> None:
    with Hosted(App()) as served, loop_turns(served.loop) as turns:
        responses: list[httpx2.Response] = []
        other = threading.Thread(target=lambda: responses.append(post(served.url + CHAT, SLOW_BODIES[name])))
        other.start()
        while other.is_alive():
            assert httpx2.get(served.url + "/_fakellm/health").status_code == 200
        other.join()
        impatient.undo()  # on a busy machine, a new process may take a second to start
        assert post(served.url + CHAT, schema(WIDE)).status_code == 200
    error = responses[0].json()["error"]
    assert (responses[0].status_code, error["code"]) == (400, "limit_exceeded")
    assert "work_seconds is 1" in error["message"]
    turns.check(MOST)


@pytest.mark.usefixtures("impatient")
def test_a_regular_expression_of_a_rule_may_take_no_longer() -> None:
    scenario = Scenario(rules=(Rule(Reply(content="a"), When(user=Pattern(regex=SLOW))),))
    with Hosted(App(scenario)) as served, loop_turns(served.loop) as turns:
        assert "work_seconds" in post(served.url + CHAT, prompt(LONG)).text
        assert post(served.url + CHAT, prompt("aaa")).headers["x-fakellm-rule"] == "scenario#1"
        entries = httpx2.get(served.url + "/_fakellm/journal").json()["entries"]
    assert [entry["status"] for entry in entries] == [400, 200]
    assert entries[0]["request"]["messages"][0]["content"] == LONG
    turns.check(MOST)


@pytest.mark.parametrize("size", [0, 70_000])
def test_it_may_take_no_longer_in_a_request_that_continues_another(size: int, impatient: pytest.MonkeyPatch) -> None:
    rules = (Rule(Reply(content="a"), When(user=Pattern(regex=SLOW))), Rule(Reply(content="b"), When(user="Hi")))
    with Hosted(App(Scenario(rules=rules))) as served, loop_turns(served.loop) as turns:
        first = post(served.url + "/v1/responses", body(input="Hi"))
        fields = {"previous_response_id": first.json()["id"], "instructions": "x" * size}
        assert "work_seconds" in post(served.url + "/v1/responses", body(input=LONG, **fields)).text
        assert "work_seconds" in post(served.url + "/v1/responses", body(input=LONG, previous_response_id="r")).text
        impatient.undo()
        assert post(served.url + "/v1/responses", body(input="Hi", **fields)).headers["x-fakellm-rule"] == "scenario#2"
        preview = httpx2.post(
            served.url + "/_fakellm/preview?request=4", content="rules: [{reply: {content: c}}]", timeout=60
        )
        assert preview.json()["rule"] == "scenario#1"
    turns.check(MOST)


def test_what_a_query_finds_does_not_depend_on_the_process_that_compares() -> None:
    scenario = Scenario(rules=(Rule(Reply(content="a"), When(user="x")),))
    query = {"when": {"user": {"regex": SLOW}}}
    with Hosted(App(scenario)) as served:
        for text in ("b", "a" * 30, "aab"):
            post(served.url + CHAT, prompt(text))
        found = httpx2.post(served.url + "/_fakellm/journal", json=query, timeout=30).json()
    assert [entry["request"]["messages"][0]["content"] for entry in found["entries"]] == ["a" * 30]
    assert found["nearest"]["number"] == 3


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("route", ["unused", "journal"])
def test_a_control_route_searches_with_a_regular_expression_no_longer(route: str) -> None:
    when = {"user": {"regex": SLOW}}
    scenario = Scenario(
        rules=(Rule(Reply(content="a"), When(model="m")), Rule(Reply(content="b"), When(user=Pattern(regex=SLOW))))
    )
    with Hosted(App(scenario)) as served, loop_turns(served.loop) as turns:
        post(served.url + CHAT, prompt(LONG, model="m"))
        method, query = ("GET", None) if route == "unused" else ("POST", {"when": when})
        response = httpx2.request(method, f"{served.url}/_fakellm/{route}", json=query, timeout=30)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "limit_exceeded")
    assert "work_seconds is 1" in response.text
    turns.check(MOST)


# Scenarios

REPEATED = "rules:\n- reply: &r {content: x, headers: {" + ",".join(f"h{number}: y" for number in range(1_000)) + "}}\n"


@pytest.mark.parametrize("route", ["POST check", "POST rules", "PUT scenario"])
def test_aliases_expand_a_scenario_in_a_request_to_a_few_hundred_thousand_values(route: str) -> None:
    method, _, path = route.partition(" ")
    with Hosted(App()) as served:
        text = REPEATED + "- {reply: *r}\n" * 150
        response = httpx2.request(method, f"{served.url}/_fakellm/{path}", content=text, timeout=30)
    assert "at most 200,000 are allowed" in response.text


def test_a_long_scenario_may_have_as_many_values_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "MOST_EXPANDED", 10)
    rules = "".join(f"- {{when: {{user: a{number}}}, reply: {{content: x}}}}\n" for number in range(10, 40))
    text = f"rules:\n{rules}- {{when: {{user: b}}, reply: &r {{content: y}}}}\n- {{reply: *r}}\n"
    assert len(answering.parsed(text.encode()).rules) == 32


def test_a_request_with_very_many_members_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MOST_MEMBERS", 20)
    body = chat(metadata=dict.fromkeys("abcdefghijklmnop", "0"))
    with Hosted(App()) as served:
        httpx2.post(served.url + CHAT, content=body, timeout=30)
        for route in ("", "/why", "/rule"):
            response = httpx2.get(f"{served.url}/_fakellm/requests/1{route}", timeout=30)
            assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")
        preview = httpx2.post(served.url + "/_fakellm/preview?request=1", content="rules: []", timeout=30)
        assert preview.status_code == 413
        assert httpx2.get(served.url + "/_fakellm/requests/1/curl", timeout=30).status_code == 200


# Processes


@pytest.fixture
def one_process() -> Iterator[Workers]:
    made = Workers(most=1)
    yield made
    made.end()


def test_a_process_returns_and_raises() -> None:
    process = Worker()
    process.start()
    try:
        assert process.call(60, len, pickle.PickleBuffer(b"x" * 10**6)) == 10**6
        with pytest.raises(ValueError, match="invalid literal"):
            process.call(60, int, "x")
        assert process.call(60, print, "not a result") is None
        with pytest.raises(RequestError) as refusal:
            process.call(60, _refuse)
        assert (refusal.value.status, refusal.value.param) == (400, "p")
        assert process.call(60, os.getpid) != os.getpid()
    finally:
        process.end()
    with pytest.raises(WorkEndedError):
        process.call(60, len, "a")


def test_a_package_beside_fakellm_does_not_replace_one_of_the_standard_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(tmp_path, "dataclasses.py").write_text("raise ImportError\n")
    monkeypatch.setattr("fakellm.server.processes.workers.__file__", f"{tmp_path}/fakellm/server/processes/workers.py")
    assert search_path()[-1] == str(tmp_path)
    process = Worker()
    process.start()
    process.end()


def _refuse() -> None:
    raise RequestError(400, "m", "c", "p")


def test_a_process_that_takes_too_long_is_killed() -> None:
    process = Worker()
    process.start()
    with pytest.raises(WorkEndedError) as ended:
        process.call(0.5, re.search, SLOW, LONG)
    assert (ended.value.in_time, process.ended) == (False, True)


def test_a_process_that_is_killed_is_replaced() -> None:
    with pytest.raises(WorkEndedError) as ended:
        WORKERS.run(lambda process: process.call(60, _kill_itself), threading.Event())
    assert ended.value.in_time
    assert WORKERS.run(lambda process: process.call(60, len, "abc"), threading.Event()) == 3


def _kill_itself(*arguments: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_process_that_is_killed_when_its_result_has_arrived_is_not_used_again(one_process: Workers) -> None:
    def killed_late(process: Worker) -> int:
        result = process.call(60, os.getpid)
        process.kill()
        return result

    assert one_process.run(killed_late, threading.Event()) != pid_of(one_process)


def test_a_process_that_is_late_when_its_result_has_arrived_is_not_used_again(one_process: Workers) -> None:
    def late(process: Worker) -> None:
        process.call(60, _Awaiting)  # imports this module
        _Awaiting.end_of.append(process)
        process.call(2, _Awaiting)

    one_process.run(late, threading.Event())
    assert one_process.run(lambda process: process.call(60, len, "abc"), threading.Event()) == 3


class _Awaiting:
    """A result that is not read before these processes have ended."""

    end_of: ClassVar[list[Worker]] = []

    def __init__(self) -> None:
        self.read = False

    def __setstate__(self, state: dict[str, bool]) -> None:
        for process in self.end_of:
            await_end(process)


def await_end(process: Worker) -> None:
    deadline = time.monotonic() + 60
    while not process.gone and time.monotonic() < deadline:
        time.sleep(0.01)


def test_an_idle_process_that_is_killed_is_not_used_again(one_process: Workers) -> None:
    used: list[Worker] = []
    one_process.run(used.append, threading.Event())
    os.kill(pid_of(one_process), signal.SIGTERM)
    await_end(used[0])
    assert one_process.run(lambda process: process.call(60, len, "abc"), threading.Event()) == 3
    assert used[0].ended


def test_work_that_nobody_waits_for_is_not_done() -> None:
    unwanted = threading.Event()
    unwanted.set()
    with pytest.raises(WorkEndedError):
        WORKERS.run(lambda process: pytest.fail("it was done"), unwanted)


def test_a_process_whose_memory_was_exhausted_is_not_used_again(one_process: Workers) -> None:
    first = pid_of(one_process)
    with pytest.raises(MemoryError):
        one_process.run(lambda process: process.call(60, _exhaust), threading.Event())
    assert pid_of(one_process) != first


def _exhaust(*arguments: object) -> None:
    raise MemoryError


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit it")
def test_a_process_has_a_limit_of_memory() -> None:
    process = Worker()
    process.start()
    try:
        with pytest.raises(MemoryError):
            process.call(60, bytes, 8 * 2**30)
    finally:
        process.end()


MAIN = "from fakellm.server.processes.worker import main; main()"


def test_a_process_ends_with_its_server() -> None:
    with subprocess.Popen([sys.executable, "-c", MAIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as idle:
        assert idle.stdout
        assert idle.stdin
        assert worker.read(idle.stdout) == "ready"
        idle.stdin.close()
        assert idle.wait(timeout=60) == 0


def test_a_busy_process_ends_after_the_time_limit_whatever_became_of_its_server() -> None:
    with subprocess.Popen([sys.executable, "-c", MAIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as busy:
        assert busy.stdin
        worker.write(busy.stdin, (0.5, re.search, (SLOW, LONG)))
        busy.stdin.close()
        assert busy.wait(timeout=60) != 0


def pid_of(workers: Workers) -> int:
    return workers.run(lambda process: process.call(60, os.getpid), threading.Event())


def test_processes_end_with_the_last_server() -> None:
    workers = Workers(most=1)
    workers.opened()
    workers.opened()
    first = pid_of(workers)
    workers.closed()
    assert pid_of(workers) == first
    workers.closed()
    assert pid_of(workers) != first
    workers.end()


def test_work_that_waits_for_a_process_ends_with_the_processes() -> None:
    workers = Workers(most=1)
    busy, outcomes = threading.Event(), list[str]()

    def work(process: Worker) -> None:
        busy.set()
        process.call(60, re.search, SLOW, LONG)

    def run() -> None:
        try:
            workers.run(work, threading.Event())
        except WorkEndedError as ended:
            outcomes.append(f"{ended.in_time}")

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert busy.wait(60)
    workers.end()
    for thread in threads:
        thread.join(60)
    assert outcomes == ["True"] * 3


WORK = {
    "a reply": (answering, "answer", "POST", CHAT, prompt("a" * 70_000)),
    "a scenario": (answering, "read_scenario", "PUT", "/_fakellm/scenario", b"rules: []\n" + b"#" * 70_000),
    "a query": (
        entry_matches,
        "_differences",
        "POST",
        "/_fakellm/journal",
        b'{"when": {"user": {"regex": "^(a+)+$"}}}',
    ),
    "why": (rule_routes, "why", "GET", "/_fakellm/requests/1/why", b""),
}


@pytest.mark.parametrize("name", WORK)
@pytest.mark.parametrize(
    ("instead", "refusal"), [(_kill_itself, (500, "work_killed")), (_exhaust, (400, "limit_exceeded"))]
)
def test_a_refusal_names_what_has_ended_the_work(
    name: str, instead: Any, refusal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, function, method, path, content = WORK[name]
    rules = (Rule(Reply(content="a"), When(model="m")), Rule(Reply(content="b"), When(user=Pattern(regex=SLOW))))
    with Hosted(App(Scenario(rules=rules))) as served:
        assert post(served.url + CHAT, prompt("a" * 30, model="m")).status_code == 200
        monkeypatch.setattr(module, function, instead)
        response = httpx2.request(method, served.url + path, content=content, timeout=60)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == refusal
        assert refusal[0] == 500 or "work_bytes is" in error["message"]
        monkeypatch.undo()
        assert httpx2.request(method, served.url + path, content=content, timeout=60).status_code == 200


def test_a_scenario_may_be_read_for_as_long_as_its_own_limit_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "BUDGET", Budget(load_seconds=0))
    _, _, method, path, content = WORK["a scenario"]
    with Hosted(App()) as served:
        response = httpx2.request(method, served.url + path, content=content, timeout=60)
    assert (response.status_code, "load_seconds is" in response.text) == (400, True)


# What the limits are


def test_the_limits_are_documented() -> None:
    page = Path(ROOT, "docs", "reference", "limits.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+)", page, re.MULTILINE))
    limits = {name: f"{getattr(Budget(), name):,}" for name in Budget.__struct_fields__}
    assert {name: rows.get(name) for name in limits} == limits


def test_work_that_is_part_of_other_work_is_given_up_if_it_gives_no_response() -> None:
    ended: list[str] = []

    def run() -> None:
        raise ZeroDivisionError

    work = Work(run, lambda result: result(), ended=lambda: ended.append("ended"))
    with pytest.raises(ZeroDivisionError):
        asyncio.run(responded(work))
    assert ended == ["ended"]
