"""Leaves out of a variation the fields that make no difference to what is sent.

Each field takes a rendering to compare. Knows no recordings and no provider by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from msgspec.structs import replace

from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.protocol import Values
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Calls, Spelling
from fakellm.importing.read_spelling import data_of, divided
from fakellm.model.blocks import Completion

_FIRST = 6
"""How many of the batches are compared first, since most fields have an effect on one of them."""
_KEYS = tuple(name for name in Spelling.__struct_fields__ if name.endswith("keys"))
"""The orders of keys, most of which have no effect, so that they are left out together."""


def simplest_stream(completion: Completion, variation: Variation, dialect: Dialect, drawn: Values) -> Variation:
    """The variation without the fields, including those of its calls and its spelling, that make no difference to the
    stream of this completion."""
    divide = partial(divided, completion, dialect=dialect, drawn=drawn)
    batches, answer = divide(variation=variation)
    first, made = data_of(batches[:_FIRST], answer), data_of(batches, answer)

    def same(variation: Variation) -> bool:
        others, other = divide(variation=variation)
        if len(others) != len(batches) or (others == batches and data_of(batches[:_FIRST], other) != first):
            return False
        return data_of(others, other) == made

    def starts_like(variation: Variation) -> bool:
        return data_of(batches[:_FIRST], divide(variation=variation)[1]) == first

    fewer = fewest(variation, starts_like, _KEYS)
    return fewest(fewer if same(fewer) else variation, same)


def fewest(variation: Variation, same: Callable[[Variation], bool], fields: Sequence[str] = ()) -> Variation:
    """The variation without the fields that make no difference; `fields`: only these of its spelling. `same`: whether
    one renders as this variation does."""
    found = (partial(_without, name="spelling", field=field) for field in fields) if fields else _fewer(variation)
    for without in found:
        candidate = without(variation)
        if candidate != variation and same(candidate):
            variation = candidate
    return variation


def _fewer(variation: Variation) -> Iterator[Callable[[Variation], Variation]]:
    """Functions that each leave out one field."""
    for name in variation.__struct_fields__:
        yield partial(replace, **{name: None})
        block = getattr(variation, name)
        if isinstance(block, (Calls, Spelling)):
            yield from (partial(_without, name=name, field=field) for field in block.__struct_fields__)
            yield partial(replace, **{name: None})


def _without(variation: Variation, name: str, field: str) -> Variation:
    block = getattr(variation, name)
    return replace(variation, **{name: block and replace(block, **{field: None})})
