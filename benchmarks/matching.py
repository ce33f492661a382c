"""What many rules cost: a request against 1, 1,000 and 10,000 of them, which the last one matches or none does.

A request that came before is answered from the cache and reaches no rule, so each request here is a new one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from statistics import median
from time import perf_counter

from benchmarks.table import Line
from fakellm.apis.chat.requests.parse import parse
from fakellm.model.request import Request
from fakellm.scenarios.matching import Matcher, Pattern, When

SIZES = (1, 1_000, 10_000)
KINDS: dict[str, Callable[[int], When]] = {
    "a model": lambda number: When(model=f"gpt-{number}-x"),
    "a pattern of models": lambda number: When(model=f"gpt-{number}-*"),
    "a user's text": lambda number: When(model="gpt-*", user=f"question {number}."),
    "a regular expression": lambda number: When(user=Pattern(regex=rf"question {number}\.")),
    "a value of the body": lambda number: When(turn=1, body={"metadata.run": str(number)}),
}
_NUMBERS = count()


def matching(seconds: float, rounds: int) -> Iterator[Line]:
    """In microseconds, and how many times as long 10,000 rules take as one."""
    for kind, when in KINDS.items():
        matchers = {size: Matcher([when(number) for number in range(size)]) for size in SIZES}
        for size, matcher in matchers.items():
            assert matcher.first(request(size - 1)) == size - 1
            assert matcher.first(request(size)) is None
        last = [microseconds(matcher.first, size - 1, rounds) for size, matcher in matchers.items()]
        none = [microseconds(_nearest(matcher), size, rounds) for size, matcher in matchers.items()]
        yield Line("matching", f"{kind}, the last rule", _result(last), ratio=last[-1] / last[0])
        yield Line("matching", f"{kind}, no rule, with the nearest", _result(none), ratio=none[-1] / none[0])


def _nearest(matcher: Matcher) -> Callable[[Request], object]:
    return lambda each: matcher.first(each) or matcher.nearest(each)


def _result(values: list[float]) -> str:
    return ", ".join(f"{size:,}: {value:,.0f} µs" for size, value in zip(SIZES, values, strict=True))


def request(number: int) -> Request:
    """A request of some length that matches the rule with this number, or none."""
    fields = {"model": f"gpt-{number}-x", "metadata": {"run": str(number)}, "user": str(next(_NUMBERS))}
    messages = [{"role": "system", "content": "Be brief. " * 50}, {"role": "user", "content": f"A question {number}."}]
    return parse(json.dumps(fields | {"messages": messages}).encode())


def microseconds(do: Callable[[Request], object], number: int, rounds: int) -> float:
    took = []
    for _ in range(10 * rounds):
        each = request(number)
        start = perf_counter()
        do(each)
        took.append(perf_counter() - start)
    return median(took) * 1e6
