"""`speed`, a factor of the whole server: only the shell applies it."""

from __future__ import annotations

from time import perf_counter

import httpx2
import pytest

import fakellm
from fakellm.server.clock import Clock
from tests.conftest import chat, post
from tests.test_handle import outcome

HOURS = {"rules": [{"reply": {"content": "One two three"}, "timing": {"first": 3600, "gap": 3600}}]}


def test_at_speed_0_nothing_waits_and_each_frame_is_still_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    def at(*_: object) -> None:
        raise AssertionError("a timer was set")

    monkeypatch.setattr(Clock, "at", at)  # `until` calls it
    with fakellm.serve(HOURS, speed=0) as server:
        with httpx2.stream("POST", server.base_url + "/chat/completions", content=chat(stream=True)) as reply:
            assert reply.headers["transfer-encoding"] == "chunked"
            assert len(list(reply.iter_raw())) == 6
        assert post(server.base_url + "/chat/completions", chat()).status_code == 200
        assert [entry.outcome for entry in server.journal] == ["sent", "sent"]


def test_a_speed_divides_every_delay() -> None:
    with fakellm.spawn(HOURS, speed=3600 * 50) as server:
        start = perf_counter()
        post(server.base_url + "/chat/completions", chat(stream=True))
        assert perf_counter() - start >= 6 / 50


def test_a_bad_speed_ends_the_command() -> None:
    for speed in ("-1", "nan"):
        code, _, complained = outcome("serve", "--speed", speed)
        assert code == 2
        assert "speed must be a factor: 1 as written, 2 twice as fast, 0 without delays" in complained
