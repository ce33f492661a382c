"""The `limits:` block of a scenario: quotas that its replies keep within. Owns only what a test author writes."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from fakellm.base.validation import FieldError

MOST_UNITS = 1_000_000_000_000
"""The largest number in a `limits:` block."""

Amount = Annotated[int, Meta(ge=1, le=MOST_UNITS)]


class Allowance(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is allowed in one period. Of what has been used, as much comes back in each moment of the period."""

    requests: Amount | None = None
    tokens: Annotated[
        Amount | None, Meta(description="Of the prompt and of the reply together, as OpenAI limits them.")
    ] = None
    input_tokens: Annotated[Amount | None, Meta(description="Of the prompt, as Anthropic and Google limit them.")] = (
        None
    )
    output_tokens: Annotated[Amount | None, Meta(description="Of the reply, as Anthropic limits them.")] = None


NOTHING = Allowance()


class RateLimit(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of the `limits:` of a scenario: how much its clients may request. A request that does not fit gets a 429."""

    by: Annotated[
        Literal["session", "key", "model"],
        Meta(
            description=(
                "Who has the quota: all requests of the session together, those with the same API key, or those for "
                "the same model."
            )
        ),
    ] = "session"
    model: Annotated[
        str | None, Meta(description="Only requests for these models count; `*`, `?` and `[…]` as in file names.")
    ] = None
    per_minute: Allowance = NOTHING
    per_day: Allowance = NOTHING
    concurrent: Annotated[Amount | None, Meta(description="Requests whose replies have not ended.")] = None

    def __post_init__(self) -> None:
        if self.per_minute == self.per_day == NOTHING and self.concurrent is None:
            raise FieldError((), "this limits nothing; set 'per_minute', 'per_day' or 'concurrent'")

    @property
    def tokens(self) -> bool:
        """Whether tokens count."""
        return any(
            amount is not None
            for each in (self.per_minute, self.per_day)
            for amount in (each.tokens, each.input_tokens, each.output_tokens)
        )
