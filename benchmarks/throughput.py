"""Streams per second under a full queue: cached, scripted, generated and non-streamed replies, beside other servers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import inf
from statistics import median

from benchmarks import servers
from benchmarks.load import Rate, load
from benchmarks.processes import cpu_seconds, peak, settle
from benchmarks.servers import Server
from benchmarks.table import Line, missing
from benchmarks.workloads import XAI, Template, even_text, question, same_question, scripted, text
from fakellm.scenarios.loader import ScenarioSource

WORDS = 127
"""Of the scripted text. With the role, the finish reason and the end, its stream has 135 frames."""

STATIC, STATIC_FRAMES = "static aiohttp body", "static aiohttp, a write per frame"
OTHERS = 3
"""Frames of a stream that are not text: the role, the finish reason, the end."""


@dataclass
class Measured:
    """What was measured of a server: one rate for each round."""

    server: Server
    frames: float
    rates: list[Rate] = field(default_factory=list)
    cpu: float = 0.0

    def run(self, template: Template, seconds: float, first: int) -> int:
        """Measures one round. Returns the number of the next request."""
        before = cpu_seconds(self.server.pid)
        rate = load(self.server.port, template, seconds, first)
        self.cpu += cpu_seconds(self.server.pid) - before
        settle(self.server.pid)
        self.rates.append(rate)
        return first + rate.requests + 100

    def line(self, benchmark: str, ratio: float, target: tuple[str, float] | None) -> Line:
        per_second, p50, p99 = (
            median(getattr(rate, name) for rate in self.rates) for name in ("per_second", "p50", "p99")
        )
        frames = sum(rate.requests for rate in self.rates) * self.frames
        result = f"{per_second:,.0f}/s of {self.frames:.0f} frames"
        cpu, most = self.cpu / frames * 1e6, peak(self.server.pid)
        return Line(benchmark, self.server.name, result, p50, p99, ratio, target, cpu=cpu, peak=most)


def cached(seconds: float, rounds: int) -> Iterator[Line]:
    """The same request again."""
    targets = {STATIC: (">=", 0.9)}
    yield from compare("cached", XAI, same_question(), seconds, rounds, targets, peers=False)


def scripted_streams(seconds: float, rounds: int) -> Iterator[Line]:
    """A fixed text for requests that all differ."""
    targets = {"aimock": (">=", 2.0)}
    scenario = scripted(text(WORDS))
    yield from compare("scripted", scenario, question(stream=True), seconds, rounds, targets)


def generated(seconds: float, rounds: int) -> Iterator[Line]:
    """Generated text for requests that all differ; the peers have a fixed text of as many frames."""
    targets = {"aimock": (">=", 1.0)}
    yield from compare("generated", None, question(stream=True, max_tokens=128), seconds, rounds, targets)


def not_streamed(seconds: float, rounds: int) -> Iterator[Line]:
    """A fixed text, not streamed, for requests that all differ."""
    targets = {STATIC: (">=", 0.45)}
    yield from compare("not streamed", scripted(text(WORDS)), question(), seconds, rounds, targets)


def compare(
    benchmark: str,
    scenario: ScenarioSource | None,
    template: Template,
    seconds: float,
    rounds: int,
    targets: dict[str, tuple[str, float]] | None = None,
    peers: bool = True,
) -> Iterator[Line]:
    """The lines of fakellm and of the servers beside it, each measured once in each round."""
    with ExitStack() as stack:
        here = stack.enter_context(servers.ours(scenario, strict=scenario is not None))
        examples = [servers.reply(here, template, number) for number in range(50)]
        frames = sum(map(len, examples)) / len(examples)
        example = min(examples, key=lambda each: abs(len(each) - frames))
        started = [here, stack.enter_context(servers.static(example, "whole", STATIC))]
        if len(example) > 1:
            started.append(stack.enter_context(servers.static(example, "frames", STATIC_FRAMES)))
        absent = []
        if peers:
            content = even_text(round(frames) - OTHERS if len(example) > 1 else WORDS)
            for name, peer in (("aimock", servers.aimock(content)), ("llmock", servers.llmock(content))):
                server = stack.enter_context(peer)
                started += [server] if server else []
                absent += [] if server else [missing(benchmark, name)]
        measured = [Measured(server, _frames(server, template, frames, here)) for server in started]
        _rounds(measured, template, seconds, rounds)
        yield measured[0].line(benchmark, _spread(measured[0]), ("<=", 5.0))
        for other in measured[1:]:
            yield other.line(benchmark, _faster(measured[0], other), (targets or {}).get(other.server.name))
        yield from absent


def _frames(server: Server, template: Template, frames: float, here: Server) -> float:
    return frames if server is here else len(servers.reply(server, template))


def _rounds(measured: Sequence[Measured], template: Template, seconds: float, rounds: int) -> None:
    first = 1_000
    for each in measured:
        load(each.server.port, template, min(seconds, 1.0), 500_000_000)  # not counted: it loads and compiles
    for _ in range(rounds):
        first = max(each.run(template, seconds, first) for each in measured)


def _spread(measured: Measured) -> float:
    return median(rate.p99 / rate.p50 for rate in measured.rates)


def _faster(ours: Measured, other: Measured) -> float:
    """How many times as many streams per second as the other, by round."""
    pairs = zip(ours.rates, other.rates, strict=True)
    return median(mine.per_second / theirs.per_second if theirs.per_second else inf for mine, theirs in pairs)
