"""Explains an attribute that a value does not have: what is called so elsewhere, or the one spelled alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fakellm.base.words.near_miss import near_miss


def missing(kind: str, name: str, known: Sequence[str], meant: Mapping[str, str] | None = None) -> AttributeError:
    """The error to raise. `meant`: what to write in place of some names."""
    near = f"; did you mean {meant[name]}?" if meant and name in meant else near_miss(name, known)
    message = f"{kind!r} object has no attribute {name!r}{near}"
    return AttributeError(message, name="", obj=None)  # so that Python adds no hint of its own
