"""The journals are bounded, all together in bytes, and say how much they have let go."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import tracemalloc
from copy import copy
from functools import partial
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

import fakellm
from fakellm.engine import entry as entry_module
from fakellm.engine.entry import MOST_LEVELS, MOST_REPLY, Ending, Entry, Kept, SentReply, shown_body
from fakellm.engine.journal import MOST_PACED, Journal, Shelf
from fakellm.engine.response import respond
from fakellm.engine.state import Limits
from fakellm.scenarios.loader import load
from fakellm.server.application import HttpRequest, parsed_entry
from fakellm.server.control import shown_entry as shown_entry_module
from fakellm.server.control.journal_view import snapshots, view
from fakellm.server.control.sent_reply import sent_reply
from fakellm.server.control.shown_entry import AT_ONCE, settle, shown_entry, work_on
from fakellm.server.redis_state.backlog import Backlog
from fakellm.server.redis_state.shared_journal import SharedJournal
from fakellm.server.scenario_app import App
from fakellm.server.workers.reports import Reports, SessionName
from fakellm.wire.plan import Frame, Plan
from tests.call_count import calls
from tests.conftest import chat, handled, post

OVERHEAD = 1024 + len("/v1/chat/completions")


def entry(size: int = 0) -> Entry:
    return Entry("POST", "/v1/chat/completions", Kept(b"x" * size))


@pytest.mark.parametrize("path", ["/v1/models", "/api/tags", "/v1beta/models", "/v1/responses/resp_1", "/nowhere"])
def test_a_request_without_a_body_is_null_in_the_journal(path: str) -> None:
    with fakellm.serve() as server:
        httpx2.get(server.url + path)
        assert [entry.request for entry in server.journal] == [None]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(2, 5_000)), max_size=40))
def test_the_newest_entries_are_kept_within_the_bounds(added: list[tuple[int, int]]) -> None:
    most_bytes, most_entries = 20_000, 5
    shelf = Shelf(most_bytes, most_entries)
    journals = [Journal(shelf), Journal(shelf)]
    sizes: list[tuple[int, int, int]] = []  # journal, number, size: what a slow but plain shelf would keep
    for which, size in added:
        journals[which].add(entry(size))
        sizes.append((which, journals[which].count, size + OVERHEAD))
        of_it = [each for each in sizes if each[0] == which]
        if len(of_it) > most_entries:
            sizes.remove(of_it[0])
        while sum(each[2] for each in sizes) > most_bytes and len(sizes) > 1:
            sizes.pop(0)
    for which, journal in enumerate(journals):
        assert [each.number for each in journal] == [number for index, number, _ in sizes if index == which]
        assert journal.dropped == journal.count - len(journal)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3), st.booleans()), max_size=30))
def test_a_reply_counts_once_while_an_entry_has_it(added: list[tuple[int, int, bool]]) -> None:
    """Equal requests share a reply, in whichever session they came; one that is too long is not kept."""
    replies = [respond(Plan(200, (), (Frame(b"x" * size),))) for size in (10, 4_000, 9_000, MOST_REPLY)]
    shelf = Shelf(40_000, 5)
    journals = [Journal(shelf), Journal(shelf)]
    for which, number, at_once in added:
        new = entry(100)
        if at_once:
            new.request.response = replies[number]
        journals[which].add(new)
        new.request.response = replies[number]
        journals[which].remeasure(new)
        new.outcome = "sent"
        kept = [each.request for journal in journals for each in journal]
        held = {id(each.response): each.response.size for each in kept if each.response}
        assert id(replies[3]) not in held
        assert shelf.size == len(kept) * (OVERHEAD + 100) + sum(held.values())


def test_one_entry_too_large_stays_until_the_next() -> None:
    journal = Journal(Shelf(1_500))
    journal.add(entry(100_000))
    assert [each.number for each in journal] == [1]
    journal.add(entry())
    assert [each.number for each in journal] == [2]


def test_a_journal_that_is_closed_leaves_its_room_to_others() -> None:
    shelf = Shelf(10_000)
    one, other = Journal(shelf), Journal(shelf)
    one.add(entry(8_000))
    one.close()
    for _ in range(2):
        other.add(entry(3_000))
    assert (len(one), len(other)) == (0, 2)


def test_the_names_of_the_rules_that_answered_dropped_entries_count() -> None:
    shelf = Shelf(10_000, 1)
    journal = Journal(shelf)
    for number in range(4):
        new = entry()
        new.rule = f"rule {number % 2}"
        journal.add(new)
    assert journal.dropped_rules == {"rule 0", "rule 1"}
    assert shelf.size == OVERHEAD + 2 * (len("rule 0") + 150)
    journal.close()
    assert shelf.size == 0


def test_a_copy_of_a_journal_that_is_released_again_and_again_counts_for_nothing() -> None:
    shelf = Shelf(10_000, 1)
    copy = SharedJournal(shelf, SessionName("", "1"), Reports(Backlog(0, lambda: None), 0))
    for number in range(4):
        new = entry()
        new.rule = f"rule {number}"
        Journal.add(copy, new)
        copy.release()
        assert shelf.size == 0


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"a": [1.0, 1e400, 12345678901234567890123]}', b'{"a": [1.0, 1e400, 12345678901234567890123]}'),
        (b"", b"null"),
        (b"{", b'"{"'),
        (b'"\xff', b'"\\"\\\\xff"'),
        (b"NaN", b'"NaN"'),
        (b"[" * 100_000, b'"' + b"[" * 100_000 + b'"'),
    ],
)
def test_a_body_is_kept_as_its_json_or_as_a_text(body: bytes, kept: bytes) -> None:
    assert shown_body(body) == (kept, kept == body)


def test_a_dropped_entry_keeps_its_request_unless_its_reply_is_under_way() -> None:
    journal = Journal(Shelf(10_000, 1))
    sending, stalled, sent = entry(100), entry(100), entry(100)
    stalled.outcome, sent.outcome = "stalled", "sent"
    for each in (sending, stalled, sent, entry()):
        journal.add(each)
    assert (sending.request, stalled.request) == (None, None)
    assert sent.request.body == b"x" * 100


def test_what_a_client_repeats_is_kept_once() -> None:
    journal = Journal(Shelf(100_000))
    for body in (b"x" * 100, b"x" * 100, b"y" * 100):
        headers = CIMultiDict({"Content-Type": "application/json", "Content-Length": "100"})
        journal.add(Entry("POST", "/v1/responses", Kept(bytes(bytearray(body)), "/v1/responses", headers)))
    first, same, other = (each.request for each in journal)
    assert same.body is first.body
    assert other.body == b"y" * 100
    assert first.headers is same.headers is other.headers


# What a journal holds, and what it can be read with


@pytest.mark.parametrize(
    "body",
    [
        chat(user='"request":null, "body":null, é, \u2028, "\ud83d\ude00', x="y" * AT_ONCE),
        b'{"body":null,"text":"' + "é".encode() * 2**20 + b'\\ud83d"}',
        b'{"not": "JSON' * 100_000,
        b"\xff" * 2**21,
    ],
)
def test_a_long_body_is_shown_like_any_other(body: bytes) -> None:
    """It is written in pieces, since a machine may not have the memory for one more copy."""
    journal = Journal(Shelf(2**30))
    sent = Entry("POST", '/v1/"request":null', Kept(body), explanation='"body":null')
    journal.add(sent)
    pieces = asyncio.run(view(journal, lambda _: None, snapshots(journal)))
    expected = msgspec.json.encode(shown_entry(lambda _: None, sent, sent))
    assert len(body) > AT_ONCE
    assert json.loads(b"".join(pieces))["entries"] == [json.loads(expected)]


def nested(levels: int, core: bytes = b"1e999") -> bytes:
    """The body of a chat request with so many levels, all included."""
    return b'{"model":"m","messages":[{"role":"user","content":"x"}],"x":%b%b%b}' % (
        b"[" * (levels - 1),
        core,
        b"]" * (levels - 1),
    )


@pytest.mark.parametrize("levels", [100, MOST_LEVELS, MOST_LEVELS + 1, 900, 971, 985, 1_200, 100_000])
def test_the_journal_can_be_read_however_deep_a_body_is(levels: int) -> None:
    body = nested(levels)
    with fakellm.serve() as server:
        post(server.base_url + "/chat/completions", body)
        post(server.base_url + "/nowhere", body)
        entries = server.journal
    for entry in entries:
        if levels > MOST_LEVELS:
            assert entry.request == body.decode()
        else:
            assert entry.request["messages"][0]["content"] == "x"


VALUES = st.recursive(
    st.sampled_from(["[{", "\\]}", '"', "}"]) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["[", "a\\", '"{']), inner, max_size=3),
)


def levels_of(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, dict | list) + max(map(levels_of, inner), default=0)


@given(VALUES, st.integers(0, 6), st.sampled_from([None, 2]))
def test_the_levels_of_a_body_are_counted(value: Any, most: int, indent: int | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entry_module, "MOST_LEVELS", most)
        body = json.dumps(value, indent=indent).encode()
        shown = json.loads(shown_body(body, valid=True)[0])
        assert shown == (value if levels_of(value) <= most else body.decode())


@given(
    st.binary(max_size=30) | VALUES.map(lambda value: json.dumps(value).encode()) | st.from_regex(rb"[0-9eE.+-]{1,20}")
)
def test_what_is_kept_of_a_body_is_json(body: bytes) -> None:
    json.loads(shown_body(body)[0])


@pytest.mark.parametrize("core", [b"[]," * 19_000 + b"1", b"{}," * 19_000 + b"1", b'"\\u0001",' * 6_000 + b"1"])
def test_a_journal_holds_about_as_much_as_it_counts(core: bytes) -> None:
    """Parsed, such a body would take twenty times the memory."""
    app = App(load({"rules": [{"reply": {"content": "a"}}]}), limits=Limits(journal_bytes=2**20, cache_bytes=0))
    for number in range(5):
        handled(app, HttpRequest("POST", "/v1/chat/completions", nested(2, b"%d,%b" % (number, core))))
    tracemalloc.start()
    try:
        for number in range(100):
            handled(app, HttpRequest("POST", "/v1/chat/completions", nested(2, b"1%d,%b" % (number, core))))
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert app.session("").journal.dropped > 80
    assert held < 1.5 * 2**20


def test_what_reading_the_journal_adds_counts_too() -> None:
    """A body that is not JSON is shown as a text, in which characters are escaped."""
    app = App(limits=Limits(journal_bytes=2**20))
    body = b"\x01" * 70_000  # six bytes each
    for _ in range(10):
        response, _ = handled(app, HttpRequest("POST", "/v1/chat/completions", body))
        assert response.head.status == 400
    assert len(app.session("").journal) == 10
    handled(app, HttpRequest("GET", "/_fakellm/journal"))
    entries = list(app.session("").journal)
    assert all(len(entry.request.shown[0]) == 6 * len(body) + 2 for entry in entries)
    assert sum(len(entry.request.shown[0]) + len(body) for entry in entries) <= 2**20


def test_an_entry_is_measured_again_only_in_its_own_journal() -> None:
    shelf = Shelf(10_000)
    first, second = Journal(shelf), Journal(shelf)
    one, other = entry(), entry()
    first.add(one)
    second.add(other)
    other.explanation = "x" * 20_000
    first.remeasure(other)
    assert (len(first), len(second)) == (1, 1)
    second.remeasure(other)
    assert (len(first), len(second)) == (0, 1)


def test_reading_the_journal_costs_as_much_for_each_entry() -> None:
    """The calls that encode it grow with the entries, and no more than that with their depth."""

    def cost(count: int, levels: int) -> int:
        app = App(limits=Limits(cache_bytes=0))
        for _ in range(count):
            handled(app, HttpRequest("POST", "/v1/chat/completions", nested(levels)))
        return calls(lambda: handled(app, HttpRequest("GET", "/_fakellm/journal")))

    assert cost(100, 2) < 20 * cost(10, 2)
    assert cost(100, MOST_LEVELS) < cost(100, 2) + 100


def test_of_replies_that_are_sent_over_time_the_last_are_kept() -> None:
    app = App(load({"rules": [{"reply": {"content": "A b"}, "timing": {"gap": 1}}]}))
    for number in range(MOST_PACED + 7):
        handled(app, HttpRequest("POST", "/v1/chat/completions", chat(stream=True, user=str(number))))
    kept = [entry.request.response is not None for entry in app.session("").journal]
    assert kept == [False] * 7 + [True] * MOST_PACED


HALF = "half \ud83d"


@pytest.mark.parametrize(
    "rule",
    [
        {"reply": {}, "fault": {"kind": "status", "status": 500, "message": HALF}},
        {"reply": {}, "fault": {"kind": "status", "body": {"error": {HALF: [HALF]}}}},
        {"reply": {"tool_calls": [{"id": HALF, "name": "f", "arguments": {}}]}},
        {"reply": {"content": HALF, "finish_reason": "stop"}},
    ],
)
def test_a_reply_with_half_a_surrogate_pair_is_shown(rule: dict[str, Any]) -> None:
    app = App(load({"rules": [rule]}))
    _, sent = handled(app, HttpRequest("POST", "/v1/chat/completions", chat()))
    sent.frames_sent, sent.outcome = sent.frames, "sent"
    (entry,) = json.loads(handled(app, HttpRequest("GET", "/_fakellm/journal"))[0].plan.body)["entries"]
    assert "half \ufffd" in json.dumps(entry["reply"], ensure_ascii=False)


@pytest.mark.parametrize(("length", "kept"), [(MOST_REPLY, True), (MOST_REPLY + 1, False), (50 * MOST_REPLY, False)])
def test_a_compressed_reply_is_read_up_to_the_limit_of_replies(length: int, kept: bool) -> None:
    body = gzip.compress(b"x") + gzip.compress(b"x" * (length - 1))
    response = respond(Plan(500, (("Content-Encoding", "gzip"),), (Frame(body),)))
    tracemalloc.start()
    try:
        assert sent_reply(response, 1, "chat", None, None).kept == kept
        assert tracemalloc.get_traced_memory()[1] < 5 * MOST_REPLY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("body", [b"x" * 2**23, chat(user="x" * 2**23)])
def test_a_journal_is_read_with_a_few_times_the_memory_of_its_longest_body(body: bytes) -> None:
    """A machine with a gigabyte reads one of 64 MB."""
    journal = Journal(Shelf(2**30))
    journal.add(Entry("POST", "/v1/responses", Kept(body)))
    asyncio.run(view(journal, lambda _: None, []))  # loads what it needs
    tracemalloc.start()
    try:
        asyncio.run(view(journal, lambda _: None, snapshots(journal)))
        assert tracemalloc.get_traced_memory()[1] < 5 * len(body)
    finally:
        tracemalloc.stop()


def test_the_request_is_part_of_the_work_of_reading_a_reply() -> None:
    app = App()
    _, long = handled(app, HttpRequest("POST", "/v1/chat/completions", chat(user="x" * AT_ONCE)))
    assert work_on(long) > AT_ONCE
    long.request.shown = b"null", False  # the journal has been read while the reply was under way
    assert work_on(long) > AT_ONCE
    settle(app.session("").journal, app.parsed, long)  # type: ignore[arg-type] # it is not called
    assert (long.request.response, long.request.reply) == (None, None)


@pytest.mark.parametrize("outcome", ["sent", "sending"])
def test_a_long_request_and_its_reply_are_read_in_another_process(
    monkeypatch: pytest.MonkeyPatch, outcome: Ending
) -> None:
    """Each search of a prompt of 16 MB would hold up all other streams for a second, in whatever thread."""
    app = App()
    body = chat(user=f"sk-{'x' * 40} {'x' * AT_ONCE}", n=2, stream=True)
    _, sent = handled(app, HttpRequest("POST", "/v1/chat/completions", body, {"authorization": "Bearer sk-1"}))
    sent.frames_sent, sent.outcome, response = sent.frames, outcome, sent.request.response
    expected = json.loads(msgspec.json.encode(shown_entry(partial(parsed_entry, app), copy(sent), sent)))
    sent.request = Kept(body, sent.path, {"authorization": "Bearer sk-1"}, valid=True, response=response)

    monkeypatch.setattr(shown_entry_module, "_body", None)
    monkeypatch.setattr(shown_entry_module, "_reply", None)
    journal = app.session("").journal
    pieces = asyncio.run(view(journal, partial(parsed_entry, app), snapshots(journal)))
    assert json.loads(b"".join(pieces))["entries"] == [expected]
    assert expected["reply"]["text"]


def test_two_readers_of_an_entry_get_the_reply() -> None:
    """One reads all of it while the other, in its thread, searches the request for secrets."""
    app = App()
    _, sent = handled(app, HttpRequest("POST", "/v1/chat/completions", chat()))
    sent.frames_sent, sent.outcome = sent.frames, "sent"
    found: list[Entry] = []

    class Headers(dict[str, str]):
        def items(self) -> Any:
            sent.request.headers = {}
            found.append(shown_entry(lambda _: None, sent, sent))
            return super().items()

    sent.request.headers = Headers()
    found.append(shown_entry(lambda _: None, sent, sent))
    assert found[0].reply == found[1].reply
    assert found[0].reply.kept


def test_a_reply_whose_json_a_secret_crosses_is_not_shown() -> None:
    app = App()
    _, sent = handled(app, HttpRequest("POST", "/v1/chat/completions", chat()))
    sent.frames_sent, sent.request.secrets = sent.frames, frozenset({'},"text":"'})
    assert shown_entry(lambda _: None, sent, sent).reply == SentReply()


def test_reading_a_journal_opens_no_session() -> None:
    """Threads read it, and the session may have ended in the meantime."""
    app = App()
    request = HttpRequest("POST", "/s/a/v1/chat/completions", chat())
    handled(app, request)
    app.forget("a")
    assert app.parsed(request).model
    assert app.find("a") is None
