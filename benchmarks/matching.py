"""What many rules cost: a request against 1,000 of them, met by the last or by none, and a folder of 10,000 to load.

``python benchmarks/matching.py``. The answer to a request that was asked before is remembered and looks at no rule, so
each request here is another one.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

from fakellm.apis.chat.requests.parse import parse
from fakellm.engine.ruleset import Ruleset
from fakellm.model.request import Request
from fakellm.scenarios.loader import load
from fakellm.scenarios.matching import Matcher, Pattern, When

RULES = 1_000
FOLDER = 10_000
RULE = """\
- name: rule-{0}
  when: {{model: gpt-*, user: question {0}.}}
  reply:
    content: Answer {0}
"""
KINDS: dict[str, Callable[[int], When]] = {
    "a model": lambda number: When(model=f"gpt-{number}-x"),
    "a pattern of models": lambda number: When(model=f"gpt-{number}-*"),
    "a user's text": lambda number: When(model="gpt-*", user=f"question {number}."),
    "a regular expression": lambda number: When(user=Pattern(regex=rf"question {number}\.")),
    "a value of the body": lambda number: When(turn=1, body={"metadata.run": str(number)}),
}


def request(number: int) -> Request:
    """A request of some length that meets the rule of the last number, or none."""
    said = {"model": f"gpt-{number}-x", "metadata": {"run": str(number)}}
    messages = [{"role": "system", "content": "Be brief. " * 50}, {"role": "user", "content": f"A question {number}."}]
    return parse(json.dumps(said | {"messages": messages}).encode())


def microseconds(do: Callable[[Request], object], number: int) -> float:
    took = []
    for _ in range(50):
        asked = request(number)
        start = perf_counter()
        do(asked)
        took.append(perf_counter() - start)
    return median(took) * 1e6


def a_folder(files: int) -> float:
    """Seconds to load a folder of FOLDER rules in so many files."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(files):
            rules = "".join(RULE.format(each) for each in range(number, FOLDER, files))
            Path(folder, f"{number:05}.yaml").write_text("rules:\n" + rules)
        start = perf_counter()
        scenario = load(Path(folder))
        Ruleset(scenario)
        took = perf_counter() - start
        assert len(scenario.rules) == FOLDER
    return took


def main() -> None:
    print(f"{RULES:,} rules that look at …      met by the last   nearest of all, told")
    for what, when in KINDS.items():
        matcher = Matcher([when(number) for number in range(RULES)])
        assert matcher.first(request(RULES - 1)) == RULES - 1
        assert matcher.first(request(RULES)) is None
        met = microseconds(matcher.first, RULES - 1)
        told = microseconds(lambda asked: matcher.first(asked) or matcher.nearest(asked), RULES)  # noqa: B023 # called here
        print(f"  {what:30} {met:8.0f} µs      {told:8.0f} µs")
    for files in (1, 100, FOLDER):
        print(f"a folder of {FOLDER:,} rules in {files:,} files: {a_folder(files):.2f} s")


if __name__ == "__main__":
    main()
