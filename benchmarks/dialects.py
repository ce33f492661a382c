"""The slowest dialect against `openai`: a fixed text for requests that all differ, in each dialect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks import servers
from benchmarks.table import Line
from benchmarks.throughput import WORDS, Measured
from benchmarks.workloads import question, scripted, text
from fakellm.apis.chat.providers import DIALECTS


def dialects(seconds: float, rounds: int) -> Iterator[Line]:
    """One server at a time, beside one with the `openai` dialect: one second a round, in at most three rounds.

    They are compared by the CPU time of a stream: with so many short rounds, streams per second differ more by what
    else the machine does.
    """
    template, content = question(stream=True), text(WORDS)
    slower: dict[str, float] = {}
    lines: dict[str, Line] = {}
    with ExitStack() as outer:
        usual = outer.enter_context(servers.ours(scripted(content)))
        for name in DIALECTS:
            with servers.ours(scripted(content, name), name) as server:
                frames = len(servers.reply(server, template))
                other, plain = Measured(server, frames), Measured(usual, frames)
                first = 1_000
                for _ in range(min(rounds, 3)):
                    first = max(plain.run(template, 1.0, first), other.run(template, 1.0, first))
                slower[name] = _each(other) / _each(plain)
                lines[name] = other.line("dialects", slower[name], None)
    order = sorted(slower, key=slower.__getitem__)
    chosen = {order[0]: "fastest", order[len(order) // 2]: "median", order[-1]: "slowest"}
    for name, place in chosen.items():
        line = lines[name]
        target = ("<=", 3.0) if place == "slowest" else None
        subject = f"{name} ({place} of {len(order)})"
        yield Line("dialects", subject, line.result, line.p50, line.p99, slower[name], target, cpu=line.cpu)


def _each(measured: Measured) -> float:
    return measured.cpu / sum(rate.requests for rate in measured.rates)
