"""The keys of `stream:` that only the Responses API has, as one block. Owns the values, not their effect."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from fakellm.base.json_values import WireValue

Whole = Literal["content", "reasoning", "refusal", "arguments"]
Lifecycle = Literal["created", "queued", "in_progress"]


class RecordedValues(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `recorded:` values of a reply, which take the place of drawn ones."""

    ids: Annotated[tuple[str, ...], Meta(description="The ids of the items, in their order.")] = ()
    completed_at: Annotated[float | int | None, Meta(description="When the response was completed.")] = None
    obfuscation: Annotated[
        dict[Annotated[int, Meta(ge=0)], str], Meta(description="The padding of events, by the event's number from 0.")
    ] = {}
    first: Annotated[
        Annotated[int, Meta(ge=0)], Meta(description="The `sequence_number` of the first event of a resumed stream.")
    ] = 0
    items: Annotated[
        dict[str, dict[str, WireValue]],
        Meta(description="What items have at a place, by number and place: the `encrypted_content` of `0@added`."),
    ] = {}


class ResponsesSpelling(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `responses:` block of a rule's `stream:`. A field that is not set is as the provider usually does it."""

    begins: Annotated[
        tuple[Lifecycle, ...] | None,
        Meta(description="The events before the first item, in order: `created`, `queued`, `in_progress`."),
    ] = None
    whole: Annotated[
        tuple[Whole, ...] | None,
        Meta(description="The texts that arrive without deltas, so that only the `.done` events have them."),
    ] = None
    output: Annotated[
        bool | None,
        Meta(description="Whether the last event repeats the items; `output` is empty if not, as Codex sends it."),
    ] = None
    reasoning: Annotated[
        Literal["summary", "text", "part"] | None,
        Meta(
            description=(
                "Where reasoning is: in the summary; as `reasoning_text` in content parts (`text`), or in events "
                "named `reasoning_part` (`part`)."
            )
        ),
    ] = None
    numbers: Annotated[
        Literal["counted", "gaps", "absent"] | None,
        Meta(description="The `sequence_number` of events: each one more, every second number, or none."),
    ] = None
    named: Annotated[bool | None, Meta(description="Whether each event has its type in an `event:` line.")] = None
    indent: Annotated[bool | None, Meta(description="Whether a whole body is indented by two spaces.")] = None
    events: Annotated[
        tuple[str, ...] | None,
        Meta(description="The order of the keys of events; `*` stands for all others, in alphabetical order."),
    ] = None
    orders: Annotated[
        dict[str, tuple[str, ...]] | None,
        Meta(
            description=(
                "The keys of a kind of object, in order; others are left out. A kind is an event's type, or that of "
                "an item, a part or an object, such as `usage`; with `@added`, `@done` or `@output` where it is sent."
            )
        ),
    ] = None
    constants: Annotated[
        dict[str, dict[str, WireValue]] | None,
        Meta(description="Values of a kind of object that replace the usual ones; `response@completed` for one event."),
    ] = None
    recorded: Annotated[
        RecordedValues | None, Meta(description="Recorded values of the reply, in place of drawn ones.")
    ] = None
