"""The limits of the work that one request can ask for, and the refusal of a request that exceeds one.

No real test comes near them. They are checked before the work is done, as far as it can be foreseen.
"""

from __future__ import annotations

from msgspec import Struct

from fakellm.base.errors import RequestError


class Budget(Struct, frozen=True, kw_only=True):
    """The limits, by name.

    reply_bytes: of one response.
    inputs: texts in one request for embeddings or moderations.
    generated_characters: of the texts in one value that is made for a JSON Schema.
    pattern_steps: parts of a regular expression in a schema, counted as often as they are repeated.
    work_seconds: for which the answer to one request may be computed, where it is computed in another process.
    work_bytes: of memory for that, where the system can limit it.
    load_seconds: for which a scenario that is loaded into a session may be read.
    scenario_bytes: of one file of a scenario.
    """

    reply_bytes: int = 64 * 2**20
    inputs: int = 2_048
    generated_characters: int = 2_000_000
    pattern_steps: int = 1_000_000
    work_seconds: int = 10
    work_bytes: int = 4 * 2**30
    load_seconds: int = 60
    scenario_bytes: int = 64 * 2**20


BUDGET = Budget()


def exceeded(name: str, param: str | None = None) -> RequestError:
    """The refusal of a request that exceeds the limit of this name."""
    limit = getattr(BUDGET, name)
    message = f"This request exceeds a limit of fakellm: {name} is {limit:,}. docs/reference/limits.md has all limits."
    return RequestError(400, message, "limit_exceeded", param)
