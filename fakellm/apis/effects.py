"""Which keys of a `stream:` block have no effect in an API, so that nothing that a rule sets is ignored in silence."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Calls, Spelling


def without_effect(stream: Variation, keys: Collection[str]) -> tuple[str, ...]:
    """The keys that `stream` sets and that are not among `keys`, those that have an effect: `padding`, or for one key
    of a block `calls.index`; a block's own name stands for all its keys."""
    return tuple(key for key in _set(stream) if key not in keys and key.partition(".")[0] not in keys)


def _set(stream: Variation) -> Iterator[str]:
    for name in stream.__struct_fields__:
        value = getattr(stream, name)
        if isinstance(value, (Calls, Spelling)):  # a block of one API has an effect as a whole or not at all
            yield from (f"{name}.{key}" for key in value.__struct_fields__ if getattr(value, key) is not None)
        elif value is not None:
            yield name
