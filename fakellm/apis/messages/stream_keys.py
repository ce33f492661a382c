"""The keys of a `stream:` block that only the Messages API has. Owns the values, not their effect."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class MessagesKeys(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `messages:` block of a rule's `stream:`."""

    key_order: Annotated[
        dict[str, tuple[str, ...]] | None,
        Meta(
            description=(
                "The keys of an object in their order, by object: `message`, its `usage`, the `delta` and the "
                "`delta_usage` of `message_delta`, or a type of block. Keys that have no value are null, or left out "
                "if they may be."
            )
        ),
    ] = None
    pads: Annotated[
        Annotated[str, Meta(pattern="^[0-9a-f]*$")] | None,
        Meta(
            description=(
                "How many spaces precede the last brace of each event, as one hexadecimal digit for each; with "
                "`obfuscation: true` they are drawn."
            )
        ),
    ] = None
    indent: Annotated[
        Annotated[int, Meta(ge=0, le=8)] | None, Meta(description="By how much a whole body is indented.")
    ] = None
