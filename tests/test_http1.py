"""A plan as the bytes of HTTP/1.1, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fakellm.wire.http import http1
from fakellm.wire.http.http1 import body_in, bursts, frames_in
from fakellm.wire.plan import Frame, Plan

FRAMES = st.builds(
    Frame,
    st.binary(max_size=20) | st.just(b"0\r\n\r\n"),
    st.sampled_from((0.0, 0.0, 0.5)),
    st.booleans(),
    st.booleans(),
)
PLANS = st.builds(
    Plan,
    status=st.sampled_from((None, 200, 299)),
    headers=st.lists(st.sampled_from((("A", "b"), ("Content-Length", "7"))), max_size=2).map(tuple),
    frames=st.lists(FRAMES, max_size=5).map(tuple),
    delimited=st.sampled_from(("chunked", "length", "close")),
    header_case=st.sampled_from((None, "upper")),
    delay=st.sampled_from((0.0, 2.0)),
    end=st.sampled_from(("complete", "hang_up", "close", "reset", "stall")),
    chunks=st.sampled_from((None, None, "extensions", "zeros")),
    trailers=st.sampled_from(((), (), (("x", "0"),))),
    surplus=st.sampled_from((b"", b"", b"0\r\n\r\n", b"a")),
)


@given(PLANS)
def test_the_frames_are_found_in_what_is_written(plan: Plan) -> None:
    written = bursts(plan)
    assert frames_in(replace(plan, frames=()), written) == plan.frames
    assert sum(burst.frames for burst in written) == len(plan.frames)


@given(PLANS, st.binary(max_size=9))
def test_what_follows_the_end_is_no_part_of_the_body(plan: Plan, surplus: bytes) -> None:
    ends_alike = replace(plan, frames=(*plan.frames, Frame(surplus)), surplus=surplus)
    assert body_in(ends_alike, bursts(ends_alike)) == b"".join(frame.data for frame in ends_alike.frames)


def joined(plan: Plan) -> bytes:
    return b"".join(burst.data for burst in bursts(plan))


@given(PLANS)
def test_a_long_plan_has_the_same_bytes_and_frames(plan: Plan) -> None:
    expected = joined(plan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http1, "LONG", 9)
        written = bursts(plan)
        assert frames_in(replace(plan, frames=()), written) == plan.frames
        assert sum(burst.frames for burst in written) == len(plan.frames)
        assert joined(plan) == expected


def test_a_long_body_is_not_copied_and_a_long_stream_is_joined_piece_by_piece() -> None:
    body = bytes(3 * http1.LONG)
    assert any(burst.data is body for burst in bursts(Plan(200, (), (Frame(body),))))
    stream = Plan(200, (), tuple(Frame(bytes(http1.LONG // 4)) for _ in range(20)), delimited="chunked")
    assert len(bursts(stream)) > 3
    assert max(len(burst.data) for burst in bursts(stream)) < 2 * http1.LONG
