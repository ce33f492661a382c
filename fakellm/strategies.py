"""Hypothesis strategies: completions, variations, faults, and scenarios to serve."""

from fakellm.fuzzing.strategies import (
    PROFILES,
    answers,
    completions,
    faults,
    framings,
    streams,
    texts,
    transfers,
    variations,
)

__all__ = [
    "PROFILES",
    "answers",
    "completions",
    "faults",
    "framings",
    "streams",
    "texts",
    "transfers",
    "variations",
]
