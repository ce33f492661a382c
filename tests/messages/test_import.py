"""Whatever the writer sends is imported by meaning, and what is imported sends the same bytes, however it was framed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.apis.messages.api import MESSAGES
from fakellm.apis.messages.dialects import DIALECTS, dialect_of
from fakellm.apis.messages.habits import settings
from fakellm.apis.variation import Variation
from fakellm.engine.render import render
from fakellm.importing.importer import imported
from fakellm.model.blocks import Completion
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.scenarios.loader import dump, load
from fakellm.streaming.division import Division
from fakellm.wire.framing import Framing, Insert
from fakellm.wire.plan import Frame, Plan
from tests.messages.completions import VARIATIONS, answer_to, sdk_completions, written
from tests.messages.test_golden import CASES, plan
from tests.test_core_laws import DIVISIONS

FRAMINGS = st.builds(
    Framing,
    line_end=st.sampled_from(["lf", "crlf"]),
    space=st.booleans(),
    bom=st.booleans(),
    insert=st.sampled_from([(), (Insert(before=(0, 2), comment="wait"),), (Insert(before=(1,), comment="hm"),)]),
)


def sent_again(body: bytes, streamed: bool, request: dict[str, Any] | None = None) -> tuple[bytes, str]:
    """What the scenario sends that is imported from a recording of this body, and how it was imported."""
    asked = json.dumps({**(request or MESSAGES.example()), "stream": streamed}).encode()
    kind = "text/event-stream" if streamed else "application/json"
    recorded = Interaction(
        RecordedRequest("POST", "/v1/messages", body=asked), Plan(200, (("Content-Type", kind),), (Frame(body),))
    )
    scenario, (report,) = imported([Cassette("a", (recorded,))])
    again = load(dump(scenario))
    assert again == scenario
    made = render(again.rules[0], MESSAGES.parse(asked, {}), 3, MESSAGES)
    return made.body, report.outcome


@pytest.mark.parametrize(("name", "turn", "kind"), CASES)
def test_a_golden_reply_is_imported(name: str, turn: str, kind: str) -> None:
    body = plan(name, turn, kind).body
    assert sent_again(body, kind == "sse") == (body, "meaning")


@given(sdk_completions(), DIVISIONS, VARIATIONS, FRAMINGS, st.sampled_from(sorted(DIALECTS)))
def test_a_drawn_stream_is_imported(
    completion: Completion, division: Division, variation: Variation, framing: Framing, dialect: str
) -> None:
    habits = settings(msgspec.structs.replace(variation, messages=None), DIALECTS[dialect]).habits
    body = written(answer_to(completion, habits), division, framing)
    assert sent_again(body, streamed=True) == (body, "meaning")


@given(sdk_completions(), VARIATIONS)
def test_a_drawn_body_is_imported(completion: Completion, variation: Variation) -> None:
    habits = settings(variation, dialect_of(None)).habits
    meant = MESSAGES.expressible(completion, habits, whole=True)
    answer = MESSAGES.answer(meant, MESSAGES.parse(json.dumps(MESSAGES.example()).encode(), {}), habits, 0, {})
    body = MESSAGES.whole(answer)
    assert sent_again(body, streamed=False) == (body, "meaning")
