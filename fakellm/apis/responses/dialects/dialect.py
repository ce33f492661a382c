"""What differs between the providers of the Responses API, as data. Owns the type; `dialects` has the providers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from fakellm.apis.chat.error_style import Errors
from fakellm.apis.responses.dialects import ids
from fakellm.apis.responses.dialects.ids import Ids
from fakellm.apis.responses.dialects.layout import Layouts
from fakellm.apis.variation import Variation
from fakellm.base.json_text import JSON
from fakellm.model.blocks import Usage

Reasoning = Literal["summary", "text", "part"]
"""Where reasoning is shown: as `summary` texts; as `reasoning_text` in content parts (`text`), or (`part`) in events
named `reasoning_part`."""


class ResponsesDialect(Struct, frozen=True, kw_only=True):
    """How a provider spells its responses.

    usual: the `stream:` block of its usual wire. named: whether events have an `event:` line.
    reasoning: see Reasoning. phase: the phase of messages, if it has one.
    output: whether the last event repeats the items. fresh: whether each copy of an item is encrypted anew.
    late: the keys that a reasoning gets only when it is done.
    ids: how ids are drawn. model: the name of the model that answered, from the one that was requested.
    effort: the effort of reasoning of a model, unless a request sets another.
    tools: whether tools are repeated with the defaults that OpenAI adds, or as they were sent, only `strict` added.
    defaults: the values of the response object that no request sets. tier: the `service_tier` that `auto` becomes.
    at_end: what the object gets at the end, from the texts of the request and of the answer.
    obfuscates: whether deltas are padded. counts_writes: whether the usage always counts tokens written to a cache.
    usage_extras: what else the usage has. fewest_tokens: the lowest `max_output_tokens`.
    pairs_results: whether a call without its output, and an output without its call, are refused.
    indent: of whole bodies. ascii: whether their characters outside ASCII are escaped.
    errors: how errors are reported: as for chat.
    """

    name: str
    usual: Variation = Variation(done=False)
    layouts: Layouts = Layouts()
    named: bool = True
    reasoning: Reasoning = "summary"
    phase: str | None = None
    output: bool = True
    fresh: bool = True
    late: tuple[str, ...] = ()
    ids: Ids = ids.OPENAI
    model: Callable[[str], str] = lambda requested: requested
    effort: Callable[[str], str | None] = lambda model: None
    defaults: Mapping[str, Any] = {}
    tools: Literal["with_defaults", "as_sent"] = "with_defaults"
    tier: str = "default"
    at_end: Callable[[Sequence[str], Sequence[str]], JSON] = lambda read, written: {}
    obfuscates: bool = False
    counts_writes: bool = True
    fewest_tokens: int = 1
    pairs_results: bool = False
    usage_extras: Callable[[Usage], JSON] = lambda usage: {}
    indent: int | None = 2
    ascii: bool = True
    stream_type: str = "text/event-stream; charset=utf-8"
    body_type: str = "application/json"
    errors: Errors = Errors()
