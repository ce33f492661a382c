"""The log has a line for each request if that is wanted, and what no rule matches unless that is not."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import fakellm
from tests.conftest import chat, post
from tests.test_handle import command

RULES: list[dict[str, Any]] = [
    {"name": "hi", "when": {"user": "Hello", "stream": True}, "reply": {"content": "a b"}},
    {"name": "whole", "when": {"user": "Hello"}, "reply": {"content": "a"}},
    {"name": "cut", "when": {"user": "cut"}, "reply": {"content": "a b"}, "fault": {"kind": "close", "frame": 2}},
]
UNMATCHED = chat(messages=[{"role": "user", "content": "x"}])
CUT = chat(messages=[{"role": "user", "content": "cut"}], stream=True)
LINE = r"{}POST /v1/chat/completions: {}, {}, {}, {} in [0-9.]+ ms"


@pytest.fixture
def server(caplog: pytest.LogCaptureFixture) -> Iterator[fakellm.Handle]:
    with caplog.at_level(logging.INFO, "fakellm"), fakellm.serve({"rules": RULES}, strict=True) as running:
        yield running


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "fakellm"]


@pytest.mark.parametrize(
    ("body", "status", "rule", "frames", "outcome"),
    [
        (chat(stream=True), 200, "hi", "5 of 5 frames", "sent"),
        (chat(), 200, "whole", "1 of 1 frame", "sent"),
        (CUT, 200, "cut, fault close", "2 of 2 frames", "closed"),
        (b"{", 400, "no rule", "1 of 1 frame", "sent"),
    ],
)
def test_a_line_says_what_a_request_got(
    server: fakellm.Handle,
    caplog: pytest.LogCaptureFixture,
    body: bytes,
    status: int,
    rule: str,
    frames: str,
    outcome: str,
) -> None:
    try:
        post(server.base_url + "/chat/completions", body)
    except httpx2.RemoteProtocolError:
        assert outcome == "closed"
    server.journal  # noqa: B018 # it has no line, and is answered after the others are written
    assert re.fullmatch(LINE.format("", status, rule, frames, outcome), lines(caplog)[-1])


def test_why_no_rule_matches_comes_first(server: fakellm.Handle, caplog: pytest.LogCaptureFixture) -> None:
    post(server.base_url + "/chat/completions", UNMATCHED)
    server.journal  # noqa: B018 # it is answered after the lines are written
    first, second = lines(caplog)
    assert first.startswith("no rule matched: POST /v1/chat/completions: answered 404. The nearest is 'whole'; ")
    assert re.fullmatch(LINE.format("no rule matched: ", 404, "no rule", "1 of 1 frame", "sent"), second)


@pytest.mark.parametrize(
    ("options", "expected"),
    [([], [": answered 404."]), (["-v"], [": answered 404.", ": 404, no rule, "]), (["-q"], [])],
)
def test_the_options_of_a_command(tmp_path: Path, options: list[str], expected: list[str]) -> None:
    (tmp_path / "a.yaml").write_text("rules: []")
    arguments = ["serve", str(tmp_path / "a.yaml"), "--port", "0", "--strict", *options]
    with command(*arguments) as process:
        assert process.stdout
        assert process.stderr
        try:
            url = re.search(r"http://\S+", process.stdout.readline())
            assert url
            assert post(f"{url[0]}/chat/completions", UNMATCHED).status_code == 404
        finally:
            process.terminate()
        logged = process.stderr.read().splitlines()
    assert len(logged) == len(expected)
    assert all(part in line for part, line in zip(expected, logged, strict=True))
