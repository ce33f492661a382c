"""Strategies for how events are framed and bytes are sent."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from msgspec import UNSET

from fakellm.fuzzing.strategies.completions import texts
from fakellm.wire.framing import Framing, Insert
from fakellm.wire.http.transfer import Transfer
from fakellm.wire.plan import Delimited


@st.composite
def framings(draw: st.DrawFn, strict_sse: bool = False) -> Framing:
    """Ways to frame events. Shrinks to ``Framing()``.

    strict_sse: whether to draw everything that the standard allows, or only what the official OpenAI SDK for Python
        (3.54) reads. That misreads a byte order mark, empty data, a lone `retry:` or `id:` and, after an `id:`, any
        block without data; and it takes events of unknown types for chunks (openai-python#2722, #3833, PR 3819).
    """
    after = tuple(draw(st.lists(texts(), max_size=2)))
    return Framing(
        line_end=draw(st.sampled_from(("lf", "cr", "crlf", "mixed"))),
        space=draw(st.sampled_from((True, False, "two"))),
        bom=strict_sse and draw(st.booleans()),
        ids=strict_sse and draw(st.booleans()),
        event=draw(st.sampled_from((None, "message"))),
        fields=draw(st.dictionaries(st.sampled_from(("foo", "Data", "x-y")), _LINES, max_size=2)),
        alone=tuple(draw(st.lists(st.sampled_from(("retry", ": ping", "foo", "event", "id", ":")), max_size=2))),
        multiline=draw(st.booleans()),
        data_first=draw(st.booleans()),
        insert=tuple(draw(st.lists(_inserts(strict_sse), max_size=3))),
        after=after,
    )


_LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8)


def _inserts(strict_sse: bool) -> st.SearchStrategy[Insert]:
    before = st.lists(st.integers(0, 12), min_size=1, max_size=3).map(tuple) | st.just("every")
    comments = st.none() | _LINES | st.just("OPENROUTER PROCESSING")
    if not strict_sse:
        return st.builds(Insert, before=before, comment=comments)
    ids, retries = st.none() | _LINES, st.none() | st.integers(0, 9999)
    silent = st.builds(Insert, before=before, comment=comments, id=ids, retry=retries, data=st.sampled_from((None, "")))
    events = st.sampled_from(("ping", "x.progress"))
    return silent | st.builds(Insert, before=before, event=events, data=st.none() | texts())


def transfers() -> st.SearchStrategy[Transfer]:
    """Ways to send bytes. Shrinks to ``Transfer()``."""
    places = st.lists(st.integers(1, 999), min_size=1, max_size=4, unique=True).map(lambda cut: tuple(sorted(cut)))
    numbers = st.none() | st.integers(1, 9) | places
    names = st.sampled_from(("inside_characters", "inside_line_ends", "inside_framing"))
    separate = st.sampled_from((3, None))  # first what any reader sees
    kinds = ("text/event-stream;charset=UTF-8", "Text/Event-Stream", None)

    def transfer(gzip: bool, cut: Any, body: Delimited | None) -> st.SearchStrategy[Transfer]:
        return st.builds(
            Transfer,
            cut=st.just(cut),
            separate_reads=separate if cut is not None else st.none(),
            coalesce=st.sampled_from((1, 2, 3, "all")),
            body=st.just(body),
            gzip=st.sampled_from((True, "members", "twice")) if gzip else st.just(False),
            chunks=st.sampled_from((None, "extensions", "zeros")),
            trailers=st.sampled_from(({}, {"Server-Timing": "total;dur=7"}) if body in (None, "chunked") else ({},)),
            head=st.sampled_from((None, "bare", "padded", "interim")),
            header_case=st.sampled_from((None, "lower", "title", "upper")),
            content_type=st.sampled_from((UNSET, *kinds)),
            margins=st.sampled_from((None, ("\n         \n", ""), ("", "\n"), ("", ""))),
        )

    # A compressed body has no characters.
    bodies: st.SearchStrategy[Delimited | None] = st.sampled_from((None, "chunked", "length", "close"))
    cuts = st.tuples(st.just(False), numbers | names, bodies) | st.tuples(st.just(True), numbers, bodies)
    return cuts.flatmap(lambda drawn: transfer(*drawn))
