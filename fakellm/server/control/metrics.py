"""The route `/metrics`: what a server counts, in Prometheus' text format. Owns the names of the metrics.

The package `prometheus-client` writes them. It is imported when the route is first requested, in a thread.
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from fakellm.base.errors import RequestError
from fakellm.engine.response import Response, Work, respond
from fakellm.server.sending.lateness import TOLERANCE, Lateness
from fakellm.server.sending.traffic import BOUNDS, Traffic
from fakellm.wire.plan import Frame, Plan

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

Held = Mapping[str, tuple[int, int]]
"""How much is kept of what has a bound, and the bound, by the name of its option."""


def metrics(traffic: Traffic, lateness: Lateness, held: Held) -> Work:
    """The work of writing the metrics. Its response is refused with status 501 if the package is not installed."""
    numbers = Numbers(traffic, lateness, held)

    def then(result: Callable[[], Any]) -> Response:
        try:
            kind, body = result()
        except ImportError:
            message = "Metrics need the package prometheus-client: pip install 'fakellm-server[metrics]'."
            raise RequestError(501, message, "not_installed") from None
        return respond(Plan(200, (("Content-Type", kind),), (Frame(body),)))

    return Work(numbers.text, then)


class Numbers:
    """The metrics of a server, as they were when this was made."""

    def __init__(self, traffic: Traffic, lateness: Lateness, held: Held) -> None:
        self._requests = dict(traffic.requests)
        self._counts = {
            "unmatched_requests": ("Requests that no rule matched.", traffic.unmatched),
            "frames": ("Frames of replies that have ended.", traffic.frames),
            "sent_bytes": ("Bytes of replies.", traffic.bytes),
            "late_frames": (f"Frames that left more than {TOLERANCE * 1000:.0f} ms late.", lateness.frames),
        }
        self._now = {
            "open_replies": ("Replies that are being sent over time, or stall.", float(traffic.open)),
            "worst_lateness_seconds": ("How late the latest frame left.", lateness.worst),
        }
        self._within, self._seconds = [*accumulate(traffic.within)], traffic.seconds
        self._held = held

    def text(self) -> tuple[str, bytes]:
        """The Content-Type and the text. Raises ImportError."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        registry.register(self)
        return CONTENT_TYPE_LATEST, generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """The metrics, as Prometheus' package calls for them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        labels = ("api", "rule", "status", "outcome")
        requests = CounterMetricFamily("fakellm_requests", "Requests whose replies have ended.", labels=labels)
        for series, count in self._requests.items():
            requests.add_metric(["" if each is None else str(each) for each in series], count)
        yield requests
        for name, (text, number) in self._counts.items():
            yield CounterMetricFamily(f"fakellm_{name}", text, value=number)
        for name, (text, value) in self._now.items():
            yield GaugeMetricFamily(f"fakellm_{name}", text, value=value)
        buckets = [*zip(map(str, BOUNDS), self._within, strict=False), ("+Inf", self._within[-1])]
        text = "Time from the arrival of a request to the first byte of its reply."
        yield HistogramMetricFamily("fakellm_first_byte_seconds", text, buckets=buckets, sum_value=self._seconds)
        for number, (name, text) in enumerate((("held", "What is kept."), ("limit", "At most so much is kept."))):
            family = GaugeMetricFamily(f"fakellm_{name}", text, labels=("what",))
            for what, both in self._held.items():
                family.add_metric([what], both[number])
            yield family
