"""Users' programs under `mypy --strict`: what a type checker says of the public names, and what it refuses.

A comment `# R: type` on a line of a program is the type that `reveal_type` must show there, `# E: text` an error that
must be reported there; any other error fails the test. mypy runs once for all programs, with no configuration.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.conftest import ROOT

PROGRAMS = {
    "servers": """
        import fakellm

        with fakellm.serve("rules: []", seed=1, strict=True, speed=0, api_key="key") as server:
            reveal_type(server)  # R: Handle
            reveal_type(server.base_url)  # R: str
            reveal_type(server.pid)  # R: int | None
            reveal_type(server.session("one"))  # R: Handle
            entry = server.journal[0]
            reveal_type(entry.rule)  # R: str | None
            reveal_type(entry.frames_sent)  # R: int
            reveal_type(entry.reply.text)  # R: str
            reveal_type(server.last)  # R: Entry
            reveal_type(server.journal.find(user="a", turn=1))  # R: list[Entry]
            server.assert_called(times=2, user=fakellm.Pattern(exact="a"))
            server.assert_called(usr="a")  # E: Unexpected keyword argument "usr" for "assert_called"
            reveal_type(server.wait_for(2, outcome="client left", timeout=1))  # R: list[Entry]
            server.wait_for(outcome="gone")  # E: Argument "outcome" to "wait_for" of "Queries" has incompatible type
            reveal_type(server.verdict().findings[0].rule)  # R: str
            reveal_type(server.step(2))  # R: list[str]
            server.load(fakellm.on().reply("Hi"))
            server.reset()
        with fakellm.spawn(fakellm.Rule(reply=fakellm.Reply(content="Hi"))) as process:
            reveal_type(process)  # R: Handle
        with fakellm.replay("one.yaml", timing=True, again="fail") as replayed:
            reveal_type(replayed)  # R: Handle
        with fakellm.record("https://api.openai.com/v1", "one.jsonl") as recording:
            reveal_type(recording)  # R: Handle
        fakellm.serve(sed=1)  # E: Unexpected keyword argument "sed" for "serve"
        fakellm.replay(again="never")  # E: Argument "again" to "replay" has incompatible type
        fakellm.serv()  # E: Module has no attribute "serv"
    """,
    "scenarios": """
        import fakellm
        from fakellm import Call, Reply, Rule, Scenario, Step, Timing, Usage, Variation, When

        rule = Rule(
            reply=Reply(content="Hi", tool_calls=(Call("add", {"a": 1}),), usage=Usage(prompt=1, completion=2)),
            when=When(model="gpt-*", turn=1),
            stream=Variation(split=3, padding=2, together=("calls",)),
            timing=Timing(first=0.5, gap=0.01),
            then=(Step(reply=Reply(content="Again")),),
        )
        scenario = Scenario(rules=(rule,), dialect="xai")
        reveal_type(scenario.rules[0].stream)  # R: Variation
        reveal_type(fakellm.load("scenario.yaml"))  # R: Scenario
        reveal_type(fakellm.load({"rules": []}))  # R: Scenario
        reveal_type(fakellm.dump(scenario))  # R: str
        Rule(reply="Hi")  # E: Argument "reply" to "Rule" has incompatible type "str"
        Reply(contents="Hi")  # E: Unexpected keyword argument "contents" for "Reply"
        rule.name = "other"  # E: Property "name" defined in "Rule" is read-only
    """,
    "builder": """
        import fakellm

        greeting = fakellm.on(model="gpt-*").fail(429, times=2, retry_after=1).reply("Hi").stream(split=1)
        reveal_type(greeting)  # R: On
        reveal_type(greeting.rule)  # R: Rule

        def echo(request: fakellm.Request) -> str:
            return request.user or ""

        reveal_type(fakellm.on().reply(echo))  # R: On
        reveal_type(fakellm.faults.Close(frame=3))  # R: Close
        fakellm.on().fault(fakellm.faults.Close(frame=3)).then().call_tool("add", a=1).after("cycle")
        fakellm.on().reply(3)  # E: Argument 1 to "reply" of "On" has incompatible type "int"
        fakellm.on().after("never")  # E: Argument 1 to "after" of "On" has incompatible type
    """,
    "faults": """
        import fakellm
        from fakellm.faults import Fault, Status

        status: Fault = Status(status=503, retry_after=2, times=1)
        reveal_type(fakellm.faults.Reset(frame=2))  # R: Reset
        fakellm.Rule(reply=fakellm.Reply(), fault=status)
        fakellm.faults.Reste()  # E: Module has no attribute "Reste"
        fakellm.faults.Close(frames=2)  # E: Unexpected keyword argument "frames" for "Close"
    """,
    "strategies": """
        import fakellm
        from hypothesis import given
        from fakellm.strategies import completions, streams, variations

        reveal_type(streams())  # R: SearchStrategy[Scenario]
        reveal_type(completions())  # R: SearchStrategy[Completion]
        reveal_type(fakellm.strategies.faults())  # R: SearchStrategy[

        @given(streams("strict-sse", exclude=("transfer",)))
        def test_any_stream(scenario: fakellm.Scenario) -> None:
            reveal_type(scenario.rules)  # R: tuple[Rule, ...]

        streams(profiles="all")  # E: Unexpected keyword argument "profiles" for "streams"
    """,
    "fuzzing": """
        from typing import Any

        import fakellm
        from fakellm.fuzzing import FuzzError, Result

        def client(base_url: str, request: dict[str, Any]) -> Result:
            return Result(content=base_url)

        async def mapping(base_url: str, request: dict[str, Any]) -> dict[str, Any]:
            return {"content": base_url}

        try:
            outcome = fakellm.fuzz(client, profile="all", examples=10, seed=1, failures=None)
            reveal_type(outcome.failures)  # R: list[ClientFailure]
        except FuzzError as error:
            reveal_type(error.outcome)  # R: Outcome
        fakellm.fuzz(mapping)
        fakellm.fuzz("client")  # E: Argument 1 to "fuzz" has incompatible type "str"
    """,
    "test_plugin": """
        from dataclasses import dataclass

        import pydantic
        import pytest
        from fakellm import Handle, Request

        @pytest.fixture
        def greeter(fakellm: Handle) -> str:
            fakellm.load("rules: [{reply: {content: Hi}}]")
            return fakellm.base_url

        def test_greeting(fakellm: Handle, fakellm_server: Handle, greeter: str) -> None:
            reveal_type(fakellm.journal[0].request)  # R: Any
            reveal_type(fakellm.health())  # R: dict[str, Any]

        @dataclass
        class City:
            name: str

        class Model(pydantic.BaseModel):
            name: str

        async def later(request: Request) -> City:
            return City(request.user or "")

        @pytest.mark.fakellm("scenarios/hello.yaml", seed=7)
        def test_rules(fakellm: Handle) -> None:
            reveal_type(fakellm.on(user="Hi").fail(429, times=2, by="rule").reply({"a": 1}))  # R: ServedOn
            fakellm.script("one", City("Oslo"), Model(name="Oslo"), fakellm.call("add", a=2), fakellm.faults.Empty())
            fakellm.script([fakellm.call("add", a=2), fakellm.Call("now")], fakellm.Step(fakellm.Reply()), later)
            reveal_type(fakellm.Pattern(regex="a"))  # R: Pattern
            reveal_type(fakellm.faults.Reset(frame=2))  # R: Reset
            with fakellm.expect_unmatched() as refused:
                fakellm.add([fakellm.Rule(fakellm.Reply())])
            reveal_type(refused)  # R: list[Entry]
            fakellm.reply(3)  # E: Argument 1 to "reply" of "Adding" has incompatible type "int"
            fakellm.fail(429, by="rul")  # E: Argument "by" to "fail" of "Adding" has incompatible type
    """,
}

EXPECTED = re.compile(r"# ([RE]): (.+)$")
REPORTED = re.compile(r"^(\w+)\.py:(\d+): (note|error): (.*)$")


def lines(program: str) -> list[str]:
    return [line[8:] for line in program.strip("\n").splitlines()]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, list[str]]]:
    """What mypy reports, by program and line; revealed types and errors only."""
    folder = tmp_path_factory.mktemp("programs")
    for name, program in PROGRAMS.items():
        (folder / f"{name}.py").write_text("\n".join(lines(program)), encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--hide-error-codes", "--no-pretty", "."]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment(folder), check=False)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    found: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for line in ran.stdout.splitlines():
        if match := REPORTED.match(line):
            name, number, kind, text = match.groups()
            if kind == "error" or text.startswith("Revealed type is"):
                found[name][int(number)].append(f"{'E' if kind == 'error' else 'R'}: {text}")
        else:
            assert line.startswith("Found "), ran.stdout  # nothing outside the programs
    return found


def environment(folder: Path) -> dict[str, str]:
    """One in which mypy finds fakellm, and no cache or configuration of this project's."""
    return {"MYPYPATH": str(ROOT), "MYPY_CACHE_DIR": str(folder / "cache"), "PATH": "/usr/bin:/bin"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_typed_as_its_comments_say(name: str, reported: dict[str, dict[int, list[str]]]) -> None:
    problems = []
    for number, line in enumerate(lines(PROGRAMS[name]), 1):
        messages = list(reported[name][number])
        for kind, text in EXPECTED.findall(line):
            actual = [message for message in messages if message.startswith(kind) and text in plain(message)]
            if not actual:
                problems.append(f"{number}: expected {kind}: {text}, got {messages}")
            messages = [message for message in messages if message not in actual]
        problems += [f"{number}: unexpected {message}" for message in messages]
    assert problems == []


def plain(message: str) -> str:
    """A message with the names of types as in the programs: without their modules, which are no promise."""
    return re.sub(r"\b(?:\w+\.)+(\w)", r"\1", message)
