"""The `usage:` block of a reply, and its token counts as the core has them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from fakellm.apis.chat.meaning import NAME
from fakellm.base.words.explained import Explaining
from fakellm.model import blocks
from fakellm.model.blocks import Own, own_value, with_own
from fakellm.scenarios.reply_blocks import check_own


class Usage(Struct, metaclass=Explaining, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Token counts: of the prompt (`cached` and `cache_write` among them), of the completion, of the reasoning.

    Whether `completion` includes `reasoning` and what the total is differs between providers; without `total` the
    dialect computes its usual sum. `details`: what follows the three sums on the wire, unchanged, in place of what the
    dialect would make of the numbers above.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0
    total: int | None = None
    details: dict[str, Any] | None = None
    cache_write: int = 0
    own: Own = {}
    """What only one API has beside them, by the name of the API."""

    def __post_init__(self) -> None:
        check_own(self.own)


def core_usage(usage: Usage) -> blocks.Usage:
    """The counts as the core has them; what only chat shows is its own."""
    chat = {"total": usage.total, "details": usage.details}
    chat = {key: value for key, value in chat.items() if value is not None}
    own = with_own(usage.own, NAME, usage.own.get(NAME, {}) | chat)
    return blocks.Usage(usage.prompt, usage.completion, usage.cached, usage.cache_write, usage.reasoning, own)


def usage_block(usage: blocks.Usage) -> Usage:
    """The block for these counts."""
    return Usage(
        usage.input,
        usage.output,
        usage.cached,
        usage.reasoning,
        own_value(usage.own, NAME, "total"),
        own_value(usage.own, NAME, "details"),
        usage.cache_write,
        {name: values for name, values in usage.own.items() if name != NAME},
    )
