"""What Prometheus reads of a server, and what probes of a cluster do: true numbers, and a bounded number of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

import fakellm
from fakellm.engine.entry import Entry
from fakellm.recordings.recording_file import RecordingFile
from fakellm.server.application import HttpRequest
from fakellm.server.control.metrics import Numbers
from fakellm.server.hosting import Hosted
from fakellm.server.recording_proxy import Recorder
from fakellm.server.replay_app import Replay
from fakellm.server.scenario_app import App
from fakellm.server.sending import traffic as module
from fakellm.server.sending.lateness import Lateness
from fakellm.server.sending.traffic import BOUNDS, OTHERS, Traffic
from tests.conftest import chat, post, respond

RULES = """
rules:
- name: broken
  when: {user: broken}
  reply: {content: Hello.}
  fault: {kind: status, status: 503}
- name: slow
  when: {user: slow}
  reply: {content: one two}
  timing: {step: true}
- name: hello
  when: {user: Hello}
  reply: {content: Hello.}
"""

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(url: str) -> Samples:
    return parsed(httpx2.get(url + "/metrics").text)


def total(samples: Samples, name: str, **labels: str) -> float:
    return sum(
        value
        for (each, had), value in samples.items()
        if each == f"fakellm_{name}" and labels.items() <= dict(had).items()
    )


def user(text: str, **fields: Any) -> bytes:
    return chat(messages=[{"role": "user", "content": text}], **fields)


def test_requests_are_counted_by_api_rule_status_and_outcome_and_not_those_of_control_routes() -> None:
    with fakellm.serve(RULES, strict=True) as server:
        url = server.base_url + "/chat/completions"
        replies = [post(url, user("Hello")), post(url, user("Hello", stream=True)), post(url, user("broken"))]
        replies += [post(url, user("none")), post(url, b"[]"), httpx2.get(server.url + "/nowhere")]
        server.health()
        with httpx2.stream("POST", url, content=user("slow", stream=True)) as reply:
            under_way = read(server.url)
            server.step(None)
            replies.append(reply)
            reply.read()
        server.wait_for(outcome="sent", user="slow")
        samples = read(server.url)
        journal = server.journal
    assert total(under_way, "open_replies") == 1
    assert total(samples, "open_replies") == 0
    assert total(samples, "requests_total") == len(journal) == 7
    assert total(samples, "requests_total", rule="hello", status="200", api="chat", outcome="sent") == 2
    assert total(samples, "requests_total", rule="broken", status="503") == 1
    assert total(samples, "requests_total", rule="", status="404") == 2
    assert total(samples, "unmatched_requests_total") == sum(not each.matched for each in journal)
    assert total(samples, "frames_total") == sum(each.frames_sent for each in journal)
    assert total(samples, "first_byte_seconds_count") == 7
    assert total(samples, "sent_bytes_total") > sum(len(each.content) for each in replies)


def test_what_is_held_is_shown_beside_its_limit() -> None:
    with fakellm.serve("rules: [{reply: {content: Hello.}, then: [{reply: {}}]}]", journal_bytes=10**6) as server:
        before = read(server.url)
        post(server.base_url + "/chat/completions", chat())
        after = read(server.url)
    names = {"cache_bytes", "journal_bytes", "stored_bytes", "max_sessions", "max_attempts"}
    assert {dict(labels).get("what") for name, labels in after if name == "fakellm_held"} == names
    assert total(after, "limit", what="journal_bytes") == 10**6
    for name in ("cache_bytes", "journal_bytes", "max_attempts"):
        assert total(before, "held", what=name) < total(after, "held", what=name) <= total(after, "limit", what=name)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([200, 429]), st.floats(0, 100)), max_size=30))
def test_the_text_has_every_request_once_whatever_the_bound(requests: list[tuple[str, int, float]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_SERIES", 2)
        traffic = Traffic()
        for number, (rule, status, seconds) in enumerate(requests, 1):
            entry = Entry("POST", "/", rule=rule, status=status, outcome="sent", number=number, started=0.0)
            traffic.began(entry, seconds)
            traffic.ended(entry)
    samples = parsed(Numbers(traffic, Lateness(), {}).text()[1].decode())
    assert total(samples, "requests_total") == total(samples, "first_byte_seconds_count") == len(requests)
    for bound in BOUNDS:
        within = sum(seconds <= bound for _, _, seconds in requests)
        assert total(samples, "first_byte_seconds_bucket", le=str(bound)) == within
    by_itself = [key for key in traffic.requests if key[1] != OTHERS]
    assert len(by_itself) <= 2
    assert len(traffic.requests) <= 2 + 2  # the others, by status


def test_names_of_rules_with_any_characters_are_read_back() -> None:
    traffic = Traffic()
    traffic.ended(Entry("POST", "/", rule='a "b"\\c\nd', status=200, outcome="sent", number=1))
    assert total(parsed(Numbers(traffic, Lateness(), {}).text()[1].decode()), "requests_total", rule='a "b"\\c\nd') == 1


def test_without_the_package_the_route_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with fakellm.serve() as server:
        reply = httpx2.get(server.url + "/metrics")
    assert reply.status_code == 501
    assert "pip install 'fakellm-server[metrics]'" in reply.json()["error"]["message"]


def test_a_server_that_replays_has_them_too() -> None:
    with fakellm.replay() as server:
        assert post(server.base_url + "/chat/completions", chat()).status_code == 404
        samples = read(server.url)
    assert total(samples, "unmatched_requests_total") == total(samples, "requests_total", status="404") == 1
    assert total(samples, "held", what="journal_bytes") > 0


def test_a_response_that_a_recorder_passes_on_counts_with_its_frames_alone(tmp_path: Path) -> None:
    app, file = Replay([], relay=True), RecordingFile(tmp_path / "recorded.jsonl")
    with fakellm.serve() as upstream, Hosted(app, proxy=lambda: Recorder(upstream.url, file)) as recorder:
        assert post(recorder.url + "/v1/chat/completions", chat(stream=True)).status_code == 200
    (entry,) = app.session("").journal
    assert app.traffic.frames == entry.frames_sent > 1
    assert sum(app.traffic.requests.values()) == 1
    assert (app.traffic.bytes, sum(app.traffic.within)) == (0, 0)


def test_what_is_sent_of_events_counts_in_no_bytes() -> None:
    app = App()
    with Hosted(app) as server, httpx2.stream("GET", server.url + "/_fakellm/events") as events:
        assert next(events.iter_bytes())
        assert app.traffic.bytes == 0


def test_other_hosts_and_methods_are_refused_and_no_page_may_read_the_numbers() -> None:
    with fakellm.serve() as server:
        assert httpx2.get(server.url + "/metrics", headers={"Host": "evil.test"}).status_code == 403
        assert httpx2.post(server.url + "/metrics").status_code == 405
        assert "access-control-allow-origin" not in httpx2.get(server.url + "/metrics").headers


def test_a_server_that_ends_is_live_and_not_ready() -> None:
    app = App()
    with fakellm.serve() as server:
        for kind in ("live", "ready"):
            reply = httpx2.get(f"{server.url}/_fakellm/health/{kind}", headers={"Host": "probe"})
            assert (reply.status_code, reply.json()) == (200, {"status": kind})
    app.traffic.stopping = True
    assert respond(app, HttpRequest("GET", "/_fakellm/health/live")).head.status == 200
    refused = respond(app, HttpRequest("GET", "/_fakellm/health/ready"))
    assert refused.head.status == 503
    assert b"about to end" in refused.body
