"""The keys of the `stream:` block that only Ollama's own API has. Owns the values, not their effect."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct


class OllamaKeys(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How lines of Ollama's own API are spelled, where no other key expresses it."""

    fraction: Annotated[
        Literal[0, 3, 6, 9] | None,
        Meta(
            description=(
                "How many digits `created_at` has after the point, less trailing zeros: 6 as on macOS, 9 as on Linux."
            )
        ),
    ] = None
