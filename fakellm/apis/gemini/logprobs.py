"""Log probabilities as a candidate has them: those of its tokens, the likeliest at each position, and their mean.

https://ai.google.dev/api/generate-content#LogprobsResult
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fakellm.model.blocks import Token


def logprobs_result(tokens: Sequence[Token]) -> dict[str, Any]:
    """The fields of a candidate with these tokens."""
    result: dict[str, Any] = {"chosenCandidates": list(map(_shown, tokens))}
    if any(token.top for token in tokens):
        result = {"topCandidates": [{"candidates": list(map(_shown, token.top))} for token in tokens], **result}
    mean = sum(token.logprob for token in tokens) / len(tokens)
    return {"avgLogprobs": mean, "logprobsResult": result}


def _shown(token: Token) -> dict[str, Any]:
    return {"token": token.token, "logProbability": token.logprob}
