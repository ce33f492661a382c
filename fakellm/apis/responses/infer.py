"""placeholder"""

from __future__ import annotations

from collections.abc import Sequence

from fakellm.apis.protocol import Values
from fakellm.apis.responses.habits import Habits, settings
from fakellm.apis.responses.dialects import OPENAI
from fakellm.apis.variation import Variation
from fakellm.wire.sse import Event


def infer(events: Sequence[Event]) -> tuple[Habits, Values]:
    return settings(Variation(), OPENAI, True, True).habits, {}


def infer_whole(body: bytes) -> tuple[Habits, Values]:
    return settings(Variation(), OPENAI, True, True).habits, {}
