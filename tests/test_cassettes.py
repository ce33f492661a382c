"""Recordings: what is written is read again, what is damaged says so, and every recording of the corpus reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.cassettes import own
from fakellm.cassettes.cassette import Asked, Cassette, Interaction
from fakellm.errors import CassetteError
from fakellm.wire import Frame, Plan

_LATIN = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=8).map(str.strip)
_HEADERS = st.lists(st.tuples(st.sampled_from(("X-A", "x-a", "Set-Cookie")), _LATIN), max_size=3).map(tuple)
_DELAYS = st.integers(0, 10_000).map(lambda milliseconds: milliseconds / 1000)
_JSON = st.sampled_from(
    (b"null", b'{"a":1}', b'{"a": 1}', b'{"a":1,"a":2}', b"1.0", b"1e400", b'"\\ud800"', b"[" * 9999)
)
_BODIES = st.binary(max_size=40) | st.text(max_size=20).map(str.encode) | _JSON
_FRAMES = st.builds(Frame, _BODIES, _DELAYS, st.booleans())
_ASKED = st.builds(Asked, st.sampled_from(("POST", "GET")), st.just("https://api.x.ai/v1/chat"), _HEADERS, _BODIES)
PLANS = st.builds(
    Plan,
    status=st.none() | st.integers(100, 599),
    headers=_HEADERS,
    frames=st.lists(_FRAMES, max_size=3).map(tuple),
    delimited=st.sampled_from(("length", "chunked", "close")),
    header_case=st.none() | st.just("upper"),
    delay=_DELAYS,
    end=st.sampled_from(("complete", "hang_up", "close", "reset", "stall")),
    drip=st.none() | _FRAMES,
)
CASSETTES = st.builds(
    Cassette, st.just("x"), st.lists(st.builds(Interaction, _ASKED, PLANS), min_size=1, max_size=3).map(tuple)
)


@given(CASSETTES)
def test_our_own_format_keeps_everything(cassette: Cassette) -> None:
    assert own.load(own.dump(cassette), "x") == cassette


def test_a_request_body_is_json_where_that_gives_its_bytes_again() -> None:
    def line(body: bytes) -> bytes:
        return own.dump_line(Interaction(Asked("POST", "/v1", body=body), Plan(200, (), ())))

    assert b'"json":{"a":[1,"\xc3\xa9"]}' in line('{"a":[1,"é"]}'.encode())
    assert b'"text":"{\\"a\\": 1}"' in line(b'{"a": 1}')
    assert b'"base64":"/w=="' in line(b"\xff")


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_last_line_that_was_cut_off_is_named(end: bytes) -> None:
    line = own.dump_line(Interaction(Asked("POST", "/v1"), Plan(200, (), ())))
    with pytest.raises(CassetteError, match=r"^r\.jsonl:3: "):
        own.load(own.dumps_header() + line + line[:-20] + end, "r.jsonl")
