"""What loads can be served: whatever YAML or JSON is drawn is refused with its place, or answers every request."""

from __future__ import annotations

import datetime
import json
import math
import os
import re
import sys
import threading
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct, UnsetType

import fakellm
from fakellm import Reply, Rule, on
from fakellm.base.budget import Budget
from fakellm.base.errors import RequestError, ScenarioError
from fakellm.cli.beside.reload import Files
from fakellm.engine.state import Limits
from fakellm.scenarios import loader
from fakellm.scenarios.loader import dump_json, load, parse, read
from fakellm.scenarios.scenario import ScenarioFile
from fakellm.server.scenario_app import App, HttpRequest
from tests.conftest import chat, respond

_ODD: tuple[Any, ...] = (
    datetime.date(2020, 1, 1),
    datetime.datetime(2020, 1, 1, 12, tzinfo=datetime.UTC),
    b"\0\1",
    {"a"},
    float("nan"),
    float("inf"),
)
"""What YAML has and JSON does not."""
_TEXTS = st.sampled_from(["", "a", "Hello, you there", "é😀", "{{user}}", "{{attempt}}", "null", "1e5", "[", "m", "*"])
_JSON_TEXTS = st.one_of(_TEXTS, st.sampled_from(["\ud83d", "\ude00x", "\0", "a\r\nb"]))
_INTEGERS = st.sampled_from([0, 1, 2, 3, 5, -1, 400, 500, 10**6, 10**9, 10**30, 10**4290])
_FLOATS = st.sampled_from([0.0, 0.5, 2.0, -1.0, 1e300])


def _any(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    leaves = st.one_of(st.none(), st.booleans(), _INTEGERS, _FLOATS, texts, st.sampled_from(_ODD))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(texts, inner, max_size=2)),
        max_leaves=3,
    )


def _is_key(value: Any) -> bool:
    return isinstance(value, (str, int, datetime.date, bytes))


@st.composite
def values(draw: st.DrawFn, hint: Any, texts: st.SearchStrategy[str], depth: int = 0) -> Any:
    """A value for a type of the scenario; now and then one for no type."""
    if draw(st.integers(0, 60)) == 60:
        return draw(_any(texts))
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return draw(values(arguments[0], texts, depth))
    if origin is Literal:
        return draw(st.sampled_from(arguments))
    if origin in (Union, UnionType):
        return draw(values(draw(st.sampled_from([each for each in arguments if each is not UnsetType])), texts, depth))
    if origin in (tuple, list):
        if arguments[1:] not in ((), (...,)):
            return [draw(values(each, texts, depth + 1)) for each in arguments]
        size = draw(st.integers(0, 1 if depth > 6 else 2))
        return [draw(values(arguments[0], texts, depth + 1)) for _ in range(size)]
    if origin is dict:
        return {
            draw(texts if arguments[0] is str else values(arguments[0], texts, 99).filter(_is_key)): draw(
                values(arguments[1], texts, depth + 1)
            )
            for _ in range(draw(st.integers(0, 2)))
        }
    if isinstance(hint, type) and issubclass(hint, Struct):
        return draw(_structs(hint, texts, depth))
    kinds: dict[Any, st.SearchStrategy[Any]] = {
        str: texts,
        int: _INTEGERS,
        float: _FLOATS,
        bool: st.booleans(),
        NoneType: st.none(),
    }
    return draw(kinds[hint] if hint in kinds else _any(texts))


@st.composite
def _structs(draw: st.DrawFn, hint: type[Struct], texts: st.SearchStrategy[str], depth: int) -> Any:
    config, fields = hint.__struct_config__, msgspec.structs.fields(hint)
    if config.array_like:
        return [draw(values(field.type, texts, depth + 1)) for field in fields[: draw(st.integers(2, len(fields)))]]
    chosen = draw(st.sets(st.sampled_from([field.name for field in fields]), max_size=4)) if fields else set()
    found = {config.tag_field: config.tag} if config.tag_field else {}
    for field in fields:
        if field.name == "include" or (depth > 8 and not field.required):
            continue
        if field.required or field.name in chosen or field.name == "rules":
            found[field.encode_name] = draw(values(field.type, texts, depth + 1))
    return found


def _requests() -> list[HttpRequest]:
    prompt = json.dumps({"model": "m", "prompt": "Hello", "stream": True}).encode()
    chats = [chat(), chat(stream=True, stream_options={"include_usage": True})]
    return [HttpRequest("POST", "/v1/completions", prompt)] + [
        HttpRequest("POST", "/v1/chat/completions", body) for body in chats
    ]


def check_served(text: str) -> None:
    """A scenario either has problems, all with their places, or it answers requests with what can be written."""
    try:
        scenario = parse(text, "drawn")
    except ScenarioError as error:
        problems = error.problems
    else:
        problems = ()
    if problems:
        assert "\n".join(problems).encode()
        assert all(problem.startswith("drawn") for problem in problems)
        return
    app = App(scenario, limits=Limits(cache_bytes=0))
    for request in _requests() * 2:
        response = respond(app, request)
        assert response.explanation is None or response.explanation.encode()
    journal = respond(app, HttpRequest("GET", "/_fakellm/journal", b""))
    assert len(json.loads(journal.body)["entries"]) == 2 * len(_requests())


NOT_JSON = {
    "2020-01-01": "JSON has no dates or times, such as 2020-01-01; put it in quotes to make it text",
    "2020-01-01 12:00:00": "JSON has no dates or times, such as 2020-01-01 12:00:00; put it in quotes to make it text",
    "!!binary AAAA": "JSON has no binary data; write text, such as base64 in quotes",
    "!!set {x}": "JSON has no sets; write a list",
    ".nan": "JSON has no number nan; write a number, or put it in quotes to make it text",
    "-.inf": "JSON has no number -inf; write a number, or put it in quotes to make it text",
    "1.0e+999": "JSON has no number inf; write a number, or put it in quotes to make it text",
    f"0x{'f' * 4000}": "an integer of 16,000 bits is too long; at most 14,000 are allowed",
}


@pytest.mark.parametrize("value", NOT_JSON)
@pytest.mark.parametrize("anchor", ["", "&a "])
def test_a_value_that_json_does_not_have_is_refused_with_its_place_and_remedy(value: str, anchor: str) -> None:
    places = {
        "reply: {tool_calls: [{name: f, arguments: {a: [VALUE]}}]}": "reply.tool_calls[0].arguments.a[0]",
        "reply: {annotations: [{a: VALUE}]}": "reply.annotations[0].a",
        "reply: {usage: {details: {a: VALUE}}}": "reply.usage.details.a",
        "reply: {}\n  stream: {spelling: {extra: {a: VALUE}}}": "stream.spelling.extra.a",
        "reply: {}\n  fault: {kind: status, body: {a: VALUE}}": "fault.body.a",
        "reply: {}\n  when: {body: {a: VALUE}}": "when.body.a",
    }
    if value.endswith((".nan", ".inf")):  # some servers write NaN, so a chunk can have it
        extra = "reply: {}\n  stream: {spelling: {extra: {a: VALUE}}}"
        parse(f"rules:\n- {extra}".replace("VALUE", value), "a.yaml")
        del places[extra]
    messages = dict.fromkeys(places.values(), NOT_JSON[value])
    if value == "1.0e+999":
        words = "is too large for a number; infinity is written .inf in YAML, Infinity in JSON"
        messages["stream.spelling.extra.a"] = f"'1.0e+999' {words}"
    for rule, path in places.items():
        text = f"rules:\n- {rule}"
        line = text.splitlines()[-1]
        with pytest.raises(ScenarioError) as caught:
            parse(text.replace("VALUE", f"{anchor}{value}"), "a.yaml")
        place = f"a.yaml:{text.count(chr(10)) + 1}:{line.index('VALUE') + 1}"
        assert caught.value.problems == (f"{place}: rules[0].{path}: {messages[path]}",)


@pytest.mark.parametrize("value", ["!!bool abc", "!!int x", "!!float x", "!!timestamp x", "2020-99-99"])
def test_a_value_that_does_not_fit_its_tag_is_refused_with_its_place(value: str) -> None:
    with pytest.raises(ScenarioError, match=r"^a.yaml:2:20: '[^']*' does not fit its tag !!") as caught:
        parse(f"rules:\n- reply: {{content: {value}}}", "a.yaml")
    assert len(caught.value.problems) == 1


def test_json_is_read_as_json(tmp_path: Path) -> None:
    key = "k" * 2_000  # YAML has no keys of more than 1,024 characters in a flow mapping
    text = '\ufeff{"rules": [{"reply": {"content": "\\ud83d\\ude00", "tool_calls": [{"name": "f", "arguments": '
    text += f'{{"x": 1e5, "{key}": "\\ud800"}}}}]}}}}]}}'
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    for scenario in (parse(text, "a"), load(tmp_path), load(tmp_path / "a.json"), load(f"{text}\n")):
        reply = scenario.rules[0].reply
        assert reply.content == "😀"
        assert reply.tool_calls[0].arguments == {"x": 1e5, key: "\ud800"}
        assert parse(dump_json(scenario), "b") == scenario


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"rules": [\n{"reply": }]}', "a.json:2:11: this is not valid JSON: Expecting value"),
        ("rules: []", "a.json:1:1: this is not valid JSON: Expecting value"),
        ('{"rules": [],\n "rules": []}', "a.json:2:2: the key 'rules' appears twice; first in line 1"),
        (
            '{"rules": [\n\t{"reply": {"content": 5}}]}',
            "a.json:2:24: rules[0].reply.content: expected string, got integer;",
        ),
        (
            '{"rules": [{"reply": {"usage":\n{"details": {"a": NaN}}}}]}',
            "a.json:2:19: rules[0].reply.usage.details.a: JSON",
        ),
        (
            '{"rules": [{"reply": {"usage":\n{"details": {"a": 1e999}}}}]}',
            "a.json:2:19: rules[0].reply.usage.details.a: ",
        ),
        (
            '{"rules": [{"reply": {}, "stream": {"spelling":\n{"extra": {"a": -1e999}}}}]}',
            "a.json:2:17: rules[0].stream.spelling.extra.a: '-1e999' is too large for a number",
        ),
        ('{"rules": [{"reply": {}, "na\\ud800me": 3}]}', "a.json:1:26: rules[0]: unknown key 'na\\ud800me'; allowed"),
        ('{"rules": [{"reply": {}, "name":\n "\\ud800"}]}', "a.json:2:2: rules[0].name: '\\ud800' has half of"),
        (f'{{"rules": {"[" * 300}{"]" * 300}}}', "a.json:1:210: nested more than 200 levels deep"),
        (f'{{"rules": {"[" * 90_000}', "a.json: nested more than 200 levels deep"),
        (
            '{"rules": [{"reply": {}},\n {"reply": {}}]}',
            "a.json:2:2: rules[1]: no request reaches this rule: the one at a",
        ),
        (f'{{"rules": [{{"reply": {{"created": 1{"0" * 5000}}}}}]}}', "a.json: this cannot be read: Exceeds the limit"),
    ],
)
def test_problems_in_json_have_their_places(
    text: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load("a.json")
    assert caught.value.problems[0].startswith(problem)


@pytest.mark.parametrize("text", ['{"rules": [{"reply": {"content": "\udcff"}}]}', "rules: ['\ud800']", "\udcff"])
def test_text_that_is_not_utf_8_is_refused_with_its_place(text: str) -> None:
    place = next(number for number, character in enumerate(text) if "\ud800" <= character <= "\udfff")
    with pytest.raises(ScenarioError, match=rf"^a: not UTF-8: '\\u.*' at character {place}$"):
        parse(text, "a")
    with pytest.raises(RequestError, match="scenario: not UTF-8: ") as caught:
        respond(App(), HttpRequest("PUT", "/_fakellm/scenario", text.encode("utf-8", "surrogatepass")))
    assert caught.value.status == 400


def test_a_file_that_cannot_be_read_is_reported_beside_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    Path("folder").mkdir()
    os.mkfifo("pipe")
    included = ["a\0b", "loop", "/dev/zero", "pipe", "folder", "x" * 300, "bad.yaml", "."]
    Path("bad.yaml").write_text("rules: !!bool abc")
    Path("a.yaml").write_text(json.dumps({"rules": [], "include": included}))
    by = r" \(included by a.yaml\)$"
    expected = [
        f"'a\\\\x00b': .*{by}",
        f"loop: .*symbolic links.*{by}",
        f"/dev/zero: not a regular file{by}",
        f"pipe: not a regular file{by}",
        "folder: no scenario in this folder",
        f"x+: file name too long{by}",
        "bad.yaml:1:8: 'abc' does not fit its tag !!bool$",
    ]
    with pytest.raises(ScenarioError) as caught:
        load("a.yaml")
    assert len(caught.value.problems) == len(expected)
    for problem, pattern in zip(caught.value.problems, expected, strict=True):
        assert re.match(pattern, problem)


def test_an_exception_while_reading_is_a_problem_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("rules: []")

    def fail(*_: Any) -> None:
        raise KeyError("x")

    monkeypatch.setattr(loader, "read_document", fail)
    assert loader.read([tmp_path / "a.yaml"]).problems == (f"{tmp_path}/a.yaml: this cannot be read: KeyError('x')",)


def test_a_file_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "BUDGET", Budget(scenario_bytes=20))
    (tmp_path / "a.yaml").write_text("rules: []\n")
    load(tmp_path)
    (tmp_path / "a.yaml").write_text("rules: []\n" + "#" * 20)
    with pytest.raises(ScenarioError, match=r"a.yaml: larger than a limit of fakellm: scenario_bytes is 20$"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: on().reply("a", model=5), "on(…): reply.model: expected string | null, got integer"),
        (
            lambda: on().reply(cast(Any, 5)),
            "on(…).reply: expected a text, data to send as JSON (a dict, pydantic model or dataclass), a Call, ",
        ),
        (lambda: on(model=5), "on(…): model: expected string | null, got integer"),
        (lambda: on(name=cast(Any, 5)), "on(…): name: expected string | null, got integer"),
        (lambda: on().timing(gap="x"), "on(…): timing.gap: expected number | object, got string"),
        (lambda: on().stream(role="ever"), "on(…): stream.role: 'ever' is not one of alone, first, call, every,"),
        (lambda: on().fail(cast(Any, "x")), "on(…): fault.status: expected integer, got string"),
        (lambda: on().call_tool("f", a={1}), "on(…): reply.tool_calls[0].arguments.a: JSON has no sets; write a list"),
        (
            lambda: load(Rule(reply=Reply(content=cast(Any, 5)))),
            "scenario: rules[0].reply.content: expected string, got integer",
        ),
        (lambda: load([Rule(reply=Reply()), cast(Any, 5)]), "scenario: rules[1]: expected a Rule or on(…), got 5"),
        (
            lambda: load(cast(Any, 5)),
            "scenario: expected a file, a text, a mapping, a Scenario, a Rule or several, got 5",
        ),
        (
            lambda: load({"rules": [{"reply": {"content": math.nan}}]}),
            "scenario: rules[0].reply.content: expected string",
        ),
        (lambda: load(endless()), "scenario: nested too deeply, or a part contains itself"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused_where_it_is_written(make: Any, problem: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        make()
    assert caught.value.problems[0].startswith(problem)


def endless() -> Any:
    arguments: dict[str, Any] = {}
    arguments["a"] = arguments
    return {"rules": [{"reply": {"tool_calls": [{"name": "f", "arguments": arguments}]}}]}


def test_padding_for_each_reasoning_token_is_limited() -> None:
    text = "rules: [{reply: {content: a, usage: {reasoning: %d}}, stream: {padding: reasoning}}]"
    parse(text % 100_000, "a")
    with pytest.raises(
        ScenarioError, match=r"a:1:49: rules\[0\].reply.usage.reasoning: with 'padding: reasoning' each"
    ):
        parse(text % 100_001, "a")


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(values(ScenarioFile, _TEXTS))
def test_whatever_yaml_is_drawn_is_refused_with_its_place_or_served(data: Any) -> None:
    check_served(yaml.safe_dump(data, allow_unicode=True))


_YAML = (
    *(
        "!!set ",
        "!!binary ",
        "!!omap ",
        "!!pairs ",
        "!!str ",
        "!!int ",
        "!!null ",
        "!!map ",
        "!!seq ",
        "!!merge ",
        "!x ",
    ),
    *(
        "&a ",
        "*a",
        "<<: ",
        "<<: *a",
        "? ",
        "- ",
        ": ",
        "\t",
        "{",
        "[",
        "]",
        "}",
        ",",
        "'",
        '"',
        "\n",
        "  ",
        "|",
        ">",
        "#",
    ),
    *("%YAML 1.2\n", "---\n", "\ufeff", "\0", "0x", "1:30", "=", "2020-01-01", "\\ud800", "99" * 3000),
)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    values(ScenarioFile, _TEXTS),
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from(_YAML)), min_size=1, max_size=4),
    st.sampled_from([None, True, False]),
)
def test_whatever_is_put_into_yaml_is_refused_with_its_place_or_served(
    data: Any, edits: Any, style: bool | None
) -> None:
    text = yaml.safe_dump(data, allow_unicode=True, default_flow_style=style)
    for place, added in edits:
        text = text[: int(place * len(text))] + added + text[int(place * len(text)) :]
    check_served(text)


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(values(ScenarioFile, _JSON_TEXTS))
def test_whatever_json_is_drawn_is_refused_with_its_place_or_served(data: Any) -> None:
    check_served(json.dumps(data, default=str))


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "CONNECTION", "Content-Encoding", "Upgrade"])
def test_a_reply_cannot_set_headers_that_would_break_its_framing(name: str) -> None:
    with pytest.raises(
        ScenarioError, match=rf"^a.yaml:1:{29 + len(name) + 2}: rules\[0\].reply.headers.{name}: '{name}' "
    ):
        parse(f"rules: [{{reply: {{headers: {{ {name}: '5'}}}}}}]", "a.yaml")
    parse("rules: [{reply: {headers: {content-type: text/plain, x-a: b}}}]", "a.yaml")


@pytest.mark.parametrize("start", [fakellm.serve, fakellm.spawn])
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"seed": "x"}, "seed must be a whole number, got 'x'"),
        ({"port": "80"}, "port must be a whole number, got '80'"),
        ({"port": True}, "port must be a whole number, got True"),
        ({"speed": "x"}, "speed must be a number, 0 or more, got 'x'"),
        ({"strict": "no"}, "strict must be True or False, got 'no'"),
        ({"api_key": 5}, "api_key must be a text or None, got 5"),
        ({"cache_bytes": "x"}, "cache_bytes must be a whole number"),
    ],
)
def test_an_option_of_a_wrong_type_is_refused(start: Any, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem), start(**options):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_a_folder_with_links_to_itself_is_read_once(tmp_path: Path) -> None:
    """Through two of them, there are as many paths as there are files in the world."""
    (tmp_path / "c.yaml").write_text("rules: [{reply: {content: a}}]")
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).symlink_to(tmp_path)
    assert len(load(tmp_path).rules) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_only_a_file_that_is_named_may_be_a_pipe_and_only_once(tmp_path: Path) -> None:
    """Else the reading would never end: nobody writes to it."""
    os.mkfifo(tmp_path / "pipe.yaml")
    problem = f"{tmp_path / 'pipe.yaml'}: not a regular file"
    assert read([tmp_path]).problems == (problem,)
    assert read([tmp_path / "pipe.yaml"], again=True).problems == (problem,)
    writer = threading.Thread(target=(tmp_path / "pipe.yaml").write_text, args=("rules: [{reply: {content: a}}]",))
    writer.start()
    assert len(load(tmp_path / "pipe.yaml").rules) == 1
    writer.join()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_files_that_are_replaced_by_a_pipe_are_a_problem_and_no_wait(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("rules: []")
    files = Files([file], read([file]))
    file.unlink()
    os.mkfifo(file)
    reading = files.changed()
    assert reading is not None
    assert reading.problems == (f"{file}: not a regular file",)


@pytest.mark.parametrize(
    "text",
    [
        "rules: [{reply: {content: Hi}}]",
        "{rules: [{reply: {content: Hi}}]}",
        '{"rules": [{"reply": {"content": "Hi"}}]}',
    ],
)
def test_yaml_in_one_line_is_text_and_not_a_path(text: str) -> None:
    assert load(text) == load(text + "\n")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"reply": "Hi"},
            "reply: expected a Reply, got 'Hi'; write fakellm.Reply(content='Hi'), or build the rule with fakellm.on",
        ),
        (
            {"reply": Reply(), "when": {"model": "m"}},
            "when: expected a When, got {'model': 'm'}; write fakellm.When(…)",
        ),
        ({}, "the key 'reply' is missing"),
    ],
)
def test_a_rule_of_wrong_values_is_refused_where_it_is_built(fields: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        Rule(**fields)
