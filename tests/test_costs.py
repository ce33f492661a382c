"""The estimates that decide where work is done: of a search, a schema, a reply; and when garbage is collected."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any
from weakref import ref

import pytest
from msgspec.structs import replace

from fakellm import Reply, ReplyChoice, Rule, Variation, When
from fakellm.apis.chat.requests.parse import parse
from fakellm.base.errors import RequestError
from fakellm.engine import cost
from fakellm.engine.response import Response
from fakellm.engine.state import Limits
from fakellm.generate import Generate
from fakellm.generate.json_schema.regex_cost import growth
from fakellm.model.request import Request
from fakellm.scenarios.loader import load
from fakellm.scenarios.matching import Matcher, Pattern
from fakellm.server import garbage
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from fakellm.wire.timing import Timing
from tests.call_count import calls
from tests.conftest import chat, respond

PROSE = "the weather in Paris is fine, " * 60
QUICK = (
    "weather",
    r"weather in (\w+)",
    "weather.*Paris",
    r"\d+",
    "^hello.*",
    r"order (\d+)",
    "(red|blue) car",
    "[a-z]{3}",
    "",
)
SLOW = (
    *("(a+)+$", "([a-z]+,)*x", "(a|ab)*c", r"(\w+)\s+\1", "(?=(a+)+$)a{30}!", "(a?){30}a{30}", ".*.*.*=", "(?<=a+)b"),
    "((((((((((){9}){9}){9}){9}){9}){9}){9}){9}){9})",
)


@pytest.mark.parametrize("regex", QUICK)
def test_a_usual_expression_is_quick(regex: str) -> None:
    assert growth(regex).milliseconds(PROSE) < 5


@pytest.mark.parametrize("regex", SLOW)
def test_an_expression_that_can_explode_is_not(regex: str) -> None:
    assert growth(regex).milliseconds(PROSE) > 1_000


def request(**fields: Any) -> Request:
    return parse(chat(**fields))


def prompt(text: str) -> Request:
    return request(messages=[{"role": "user", "content": text}])


def matching(whens: list[When], text: str) -> float:
    return Matcher(whens).cost.milliseconds(prompt(text))


def test_matching_costs_what_its_texts_and_expressions_cost() -> None:
    assert matching([When(user="a")], PROSE) < 0.01
    assert matching([When(model="m")] * 100, "a" * 10**6) < 0.1
    assert matching([When(user="a")] * 1_000, "a" * 10**5) > 20
    assert matching([When(message=Pattern(regex="(a+)+$"))], PROSE) == float("inf")
    assert matching([When(body={"x": {"regex": "(a+)+$"}})], PROSE) < 0.01  # it has no such value
    several = [When(user=Pattern(regex=f"w{'x' * number}.*Paris")) for number in range(300)]
    assert matching(several, PROSE) > 100
    assert matching(several, "short") < 1


@pytest.mark.parametrize(
    ("schema", "low", "high"),
    [
        ({"type": "string"}, 1, 3),
        ({"type": "object", "properties": {str(number): {} for number in range(100)}}, 100, 120),
        ({"type": "array", "minItems": 100, "items": {"type": "string"}}, 200, 220),
        ({"type": "array", "minItems": 100, "items": {"type": "array", "minItems": 200}}, float("inf"), float("inf")),
        ({"$ref": "#/x"}, 20, 30),
        ({"enum": list(range(1000))}, 100, 110),
        ({"type": "string", "pattern": "a"}, float("inf"), float("inf")),
        ({"properties": {"a": {"patternProperties": {"a": {}}}}}, float("inf"), float("inf")),
    ],
)
def test_a_schema_weighs_what_its_values_have(schema: dict[str, Any], low: float, high: float) -> None:
    assert low <= cost.weight(schema) <= high


def test_a_reply_costs_what_it_sends() -> None:
    def milliseconds(rule: Rule | None = None, **fields: Any) -> float:
        return cost.milliseconds(rule, request(**fields))

    generated = milliseconds()
    assert generated < 1
    assert milliseconds(n=100) == pytest.approx(100 * generated)
    assert milliseconds(stream=True) > 2 * generated
    paced = Rule(reply=Reply(content="word " * 5_000), timing=Timing(gap=0.1))
    assert milliseconds(paced) == milliseconds(paced, stream=True), (
        "a whole body waits as long as its stream would take"
    )
    assert milliseconds(replace(paced, timing=Timing())) < milliseconds(paced) / 2
    assert milliseconds(stream=True, max_tokens=1) < milliseconds(stream=True)
    assert milliseconds(logprobs=True, top_logprobs=20) > 20
    assert milliseconds(reasoning_effort="max") > 5 * generated
    assert milliseconds(Rule(Reply(generate=Generate(sentences=1000)))) > 20
    assert milliseconds(response_format={"type": "json_object"}) > generated
    long = Reply(content="a" * 50_000)
    assert milliseconds(Rule(long), stream=True) > 20
    assert milliseconds(Rule(long)) < 8
    assert milliseconds(Rule(long, stream=Variation(split=1)), stream=True) > 2 * milliseconds(Rule(long), stream=True)
    assert milliseconds(Rule(Reply(choices=(ReplyChoice("a"), ReplyChoice("b")))), stream=True) < 1
    assert milliseconds(Rule(Reply(content="a"), stream=Variation(padding=10_000)), stream=True) > 20
    filled = Reply(content="{{user}}" * 1_000, template=True)
    assert cost.milliseconds(Rule(filled), prompt("a" * 10_000)) > 1_000


def test_garbage_is_not_collected_within_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "_server_only", [])  # a test of a command may have served in this process
    exempt = gc.get_freeze_count()
    assert gc.isenabled()
    with garbage.paused():
        assert not gc.isenabled()
        with garbage.paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == exempt


@pytest.fixture
def only_serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within such a test, this process only serves."""
    before = gc.get_threshold()
    monkeypatch.setattr(garbage, "_server_only", [])
    garbage.server_only()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def streams_at_once(app: App, most: int) -> Callable[[], None]:
    """Starts a stream with each call; if so many are under way, the first of them ends."""
    under_way: deque[list[Any]] = deque(maxlen=most)
    numbers = count()

    def start() -> None:
        body = chat(stream=True, messages=[{"role": "user", "content": f"Question {next(numbers)}"}])
        outcome, _ = app.handle(HttpRequest("POST", "/v1/chat/completions", body))
        assert isinstance(outcome, Response)
        bursts = iter(outcome.bursts)
        under_way.append([outcome, next(bursts), bursts])

    return start


@pytest.mark.usefixtures("only_serving")
def test_a_process_that_only_serves_looks_at_its_scenario_no_more() -> None:
    with garbage.paused():
        pass
    assert gc.get_freeze_count() > 0


@pytest.mark.usefixtures("only_serving")
def test_streams_that_start_when_others_end_make_no_garbage_that_must_be_looked_for() -> None:
    start = streams_at_once(paced_app(), 100)
    for _ in range(200):
        start()
    before = gc.get_stats()[1]["collections"]
    for _ in range(1_800):
        start()
    assert gc.get_stats()[1]["collections"] == before


@pytest.mark.usefixtures("only_serving")
def test_however_many_streams_are_under_way_the_collector_has_few_objects_to_look_at() -> None:
    start = streams_at_once(paced_app(), 500)
    gc.freeze()
    most = 0
    for _ in range(1_500):
        start()
        most = max(most, len(gc.get_objects()))
        garbage.reply_began()
    assert most < 4_000


@pytest.mark.usefixtures("only_serving")
def test_exempt_garbage_is_found_when_many_connections_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "_ended", [0])
    garbage_in_cycle = GarbageInCycle()
    left = ref(garbage_in_cycle)
    gc.freeze()
    del garbage_in_cycle

    def found(connections: int) -> bool:
        for _ in range(connections):
            garbage.connection_ended()
        for _ in range(garbage._REPLIES):
            garbage.reply_began()
        return left() is None

    assert not found(garbage._CONNECTIONS - 1)
    assert found(1)


class GarbageInCycle:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def paced_app() -> App:
    return App(load({"rules": [{"reply": {"content": "A b"}, "timing": {"gap": 1}}]}), limits=Limits(cache_bytes=0))


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    try:
        with garbage.paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


MANY = {"n": 128, "logprobs": True, "top_logprobs": 20}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("sentences", "fields", "limit"),
    [
        (1000, MANY, "reply_bytes"),
        (30, MANY, "reply_bytes"),
        (3, MANY, None),
        (None, MANY, None),
        (1000, {"n": 128}, None),
        (1000, MANY | {"max_tokens": 20}, None),
        (1000, MANY | {"stop": "."}, None),
    ],
)
def test_what_multiplies_the_work_is_refused_before_it_is_done(
    sentences: int | None, fields: dict[str, Any], limit: str | None, stream: bool
) -> None:
    rule = Rule(reply=Reply(generate=Generate(sentences=sentences)))
    if limit is None:
        cost.check(rule, request(stream=stream, **fields))
        return
    with pytest.raises(RequestError, match=f"exceeds a limit of fakellm: {limit}"):
        cost.check(rule, request(stream=stream, **fields))


def test_it_is_refused_by_the_server_too() -> None:
    app = App(load({"rules": [{"reply": {"generate": {"sentences": 1000}}}]}))
    app.offloads = False
    before = calls(lambda: respond(app, HttpRequest("POST", "/v1/chat/completions", chat(**MANY))))
    assert before < 10_000
