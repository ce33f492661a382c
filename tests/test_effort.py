"""How much work things are: the calls of functions are counted, which no other process disturbs, instead of the time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import fakellm
from fakellm.engine.engine import Engine
from fakellm.engine.memo import Cache
from fakellm.engine.ruleset import Ruleset
from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App, HttpRequest
from tests.call_count import calls
from tests.conftest import chat

RULE = """\
- name: rule-{0}
  when: {{model: gpt-*, user: question {0}.}}
  reply:
    content: Answer {0}
"""


def one_file(folder: Path, rules: int) -> Path:
    file = folder / f"{rules}.yaml"
    file.write_text("rules:\n" + "".join(map(RULE.format, range(rules))), encoding="utf-8")
    return file


def many_files(folder: Path, rules: int) -> Path:
    place = folder / str(rules)
    place.mkdir()
    for number in range(rules):
        (place / f"{number:05}.yaml").write_text("rules:\n" + RULE.format(number), encoding="utf-8")
    return place


@pytest.mark.parametrize(("write", "most"), [(one_file, 220), (many_files, 350)])
def test_ten_times_as_many_rules_are_ten_times_the_work(
    write: Callable[[Path, int], Path], most: int, tmp_path: Path
) -> None:
    """10,000 rules in one file are served within a second, and those in 10,000 files within two."""

    def loaded(rules: int) -> int:
        path = write(tmp_path, rules)
        return calls(lambda: Ruleset(load(path)))

    loaded(1)  # what is done once
    few, many = loaded(100), loaded(1_000)
    assert many <= 10.5 * few
    assert many <= most * 1_000


def test_a_new_request_is_little_work() -> None:
    rules = [{"when": {"model": "gpt-*", "user": f"question {each}."}, "reply": {"content": "x"}} for each in range(9)]
    engine = Engine(Ruleset(load({"rules": [*rules, {"reply": {"content": "y"}}]})), 0, False, Cache(2**20))
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How many people live there?"}]
    engine.match(chat(messages=messages))
    body = chat(messages=messages, temperature=0.2, max_tokens=200, stream=True)
    assert calls(lambda: engine.match(body)) <= 115


@pytest.mark.parametrize(
    ("line", "most"),
    [
        ("It's what I said. ", 2_000),
        ('def half(x):\n    return "x/2"  # 12345\n\n', 2_000),
        ("naïve “plans” 👩 ", 600_000),
    ],
)
def test_a_prompt_of_a_megabyte_is_hardly_more_work_than_a_short_one(line: str, most: int) -> None:
    """It is compared and hashed, and its usage is counted, as a whole: it has over 100,000 words. Only characters
    outside Latin-1 are looked at one by one."""
    app = App(fakellm.load({"rules": [{"when": {"user": "x" * 50}, "reply": {}}, {"reply": {"content": "Hi"}}]}))

    def handled(size: int) -> int:
        prompt = (line * (size // len(line) + 1))[:size]
        body = chat(messages=[{"role": "user", "content": prompt}])
        return calls(lambda: app.handle(HttpRequest("POST", "/v1/chat/completions", body)))

    handled(10_000)  # what is done once
    more = handled(1_000_000) - handled(1_000)
    assert more <= most
