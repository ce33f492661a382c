"""The blocks of a Variation: padding, tool calls, and the spelling of JSON. Owns the values, not their effect."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from fakellm.base.json_values import WireValue
from fakellm.base.words.explained import Explaining

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
MOST_CHUNKS = 100_000
"""The most chunks without content that one number in a scenario stands for."""
Field = Literal["role", "content", "reasoning", "refusal", "tool_calls"]
Filler = Literal["empty", "null", "text"]


Reasoning = (
    Literal["reasoning_content", "reasoning", "both", "reasoning_details", "thinking", "think"]
    | tuple[Literal["reasoning_content", "reasoning", "reasoning_details"], ...]
)
"""Where reasoning is."""
REASONING_KEYS = ("reasoning_content", "reasoning", "reasoning_details")


class Padding(Struct, metaclass=Explaining, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Chunks without content, which a provider sends to show that it is alive."""

    count: Annotated[int, Meta(ge=1, le=MOST_CHUNKS)] = 1
    before: Annotated[
        Literal["content", "delta", "finish", "end"] | tuple[Count, ...],
        Meta(
            description=(
                "Where: before the first content of each choice (`content`: after the role), before each further "
                "delta of it (`delta`), before its finish (`finish`), at the `end`, after the usage, or before the "
                "chunks of the stream with these numbers, counted from 0 without this padding."
            )
        ),
    ] = "content"
    delta: Annotated[
        dict[str, Any] | None,
        Meta(
            description=(
                "What they carry; by default the provider's usual empty delta, otherwise exactly this, such as "
                '``{content: ""}``.'
            )
        ),
    ] = None
    choices: Annotated[
        bool | Literal["null", "absent"],
        Meta(
            description="False for chunks with `choices: []`; `null` for `choices: null`; `absent`: without that key."
        ),
    ] = True
    chunk: Annotated[
        dict[str, Any] | None,
        Meta(
            description=(
                "Keys of the whole chunk, in place of a delta, such as the `choices` with the offsets of Azure's "
                "content filter. With an `id`, the provider adds nothing to it."
            )
        ),
    ] = None


class Calls(Struct, metaclass=Explaining, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How tool calls are spelled, if it differs from the provider's habit."""

    opening: Annotated[
        Literal["alone", "piece", "pair"] | None,
        Meta(
            description=(
                "What a call opens with if its arguments are cut: its id and name `alone`, with the first `piece` of"
                " the arguments, or both in one delta as two entries with the same index (`pair`, vLLM's speculative"
                " decoding)."
            )
        ),
    ] = None
    arguments: Annotated[
        Literal["empty", "null", "absent"] | None, Meta(description="The `arguments` of an opening that has none yet.")
    ] = None
    id: Annotated[
        Literal["once", "repeated", "empty", "null", "late"] | None,
        Meta(
            description=(
                "The call's id in the pieces after the opening. `late`: not in the opening but in the piece after it."
            )
        ),
    ] = None
    name: Annotated[
        Literal["once", "repeated", "empty", "null", "late"] | None,
        Meta(
            description=(
                "The call's name in the pieces after the opening. `late`: not in the opening but in the piece after it."
            )
        ),
    ] = None
    type: Annotated[
        Literal["once", "repeated", "empty", "null"] | None,
        Meta(description="The call's type in the pieces after the opening."),
    ] = None
    index: Annotated[
        Literal["given", "absent", "null", "from_one", "zero"] | None,
        Meta(description=("As it is, missing, null, counted from 1, or (contested) 0 for every call.")),
    ] = None
    order: Annotated[
        Literal["given", "reversed"] | None,
        Meta(description=("Whether calls are sent in the order of their index, or the last first.")),
    ] = None
    before: Annotated[
        Count | None,
        Meta(
            description=(
                "The piece of the text (`content`, then `refusal`), counted from 0, before which they are sent; "
                "without it, they follow the text. It has no effect where the `parts` of an answer have `turns` or "
                "share chunks."
            )
        ),
    ] = None


class Spelling(Struct, metaclass=Explaining, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the JSON of a chunk is written, if it differs from the provider's habit."""

    ascii: Annotated[
        bool | None, Meta(description="Whether all characters outside ASCII are written as `\\uXXXX`.")
    ] = None
    html: Annotated[
        bool | Literal["angles"] | None,
        Meta(
            description=(
                "Whether `<`, `>` and `&` are written as `\\uXXXX`, as Go writes JSON; `angles`: only `<` and `>`, as "
                "Google does."
            )
        ),
    ] = None
    escapes: Annotated[
        Literal["usual", "slashes", "long"] | None,
        Meta(
            description=(
                "How characters are escaped: as is `usual`, also `slashes`, as `\\/`, or in the `long` form, "
                "`\\u000A` in place of `\\n`."
            )
        ),
    ] = None
    spaces: Annotated[
        bool | Literal["colons"] | None,
        Meta(description="Whether a space follows each colon and comma; `colons`: only each colon."),
    ] = None
    floats: Annotated[
        Literal["exponent", "decimal", "shortest", "double"] | None,
        Meta(
            description=(
                "How small numbers are written: with an exponent as Python does, `2e-05`; as `decimal` fractions down "
                "to a millionth, as JavaScript does; or down to a hundred-thousandth, as Rust does, which writes the "
                "`shortest` exponent, `2e-6`. `double`: with an exponent, and 17 digits where 15 are not enough, as "
                "C++ does."
            )
        ),
    ] = None
    order: Annotated[
        Literal["usual", "sorted", "reversed"] | None,
        Meta(description="The order of all keys: the provider's `usual` one, `sorted`, or `reversed`."),
    ] = None
    keys: Annotated[
        tuple[str, ...] | None, Meta(description="The keys of a chunk, in this order; others are left out.")
    ] = None
    last_keys: Annotated[
        tuple[str, ...] | None,
        Meta(description="The keys of chunks with a finish or the usage, if their order differs."),
    ] = None
    choice_keys: Annotated[
        tuple[str, ...] | None, Meta(description="The keys of each choice, in this order; others are left out.")
    ] = None
    delta_keys: Annotated[
        tuple[str, ...] | None, Meta(description="The keys of a delta, in this order; others are left out.")
    ] = None
    usage_keys: Annotated[
        tuple[str, ...] | None, Meta(description="The keys of the usage, in this order; others are left out.")
    ] = None
    call_keys: Annotated[tuple[str, ...] | None, Meta(description="The keys of a tool call that has its name.")] = None
    piece_keys: Annotated[
        tuple[str, ...] | None, Meta(description="The keys of the further pieces of a tool call.")
    ] = None
    function_keys: Annotated[
        tuple[str, ...] | None, Meta(description="The keys of the `function` of a tool call, in this order.")
    ] = None
    indent: Annotated[
        Annotated[int, Meta(ge=0, le=8)] | None,
        Meta(description="By how many spaces a whole body is indented; 0 for one line."),
    ] = None
    extra: Annotated[
        dict[str, WireValue] | None,
        Meta(
            description=(
                "Keys that every chunk or body carries in addition; those of its choices and of their deltas or "
                "messages as `choice.x` and `delta.x`, of tool calls as `call.x`, of a call's further pieces in a "
                "stream as `piece.x`, and of the usage as `usage.x`."
            )
        ),
    ] = None
    each: Annotated[
        dict[str, tuple[WireValue, ...] | dict[Count, WireValue]] | None,
        Meta(
            description=(
                "Keys with a different value in each chunk, as a list of values or by the chunk's number, counted "
                "from 0. Chunks that it does not mention go without, except for what the reply has there (role, "
                "texts, calls, usage). Beware: a value given here replaces that of the reply."
            )
        ),
    ] = None
    details: Annotated[
        dict[str, Any] | None,
        Meta(
            description=(
                "What each item of `reasoning_details` carries besides its text; its `type` is `reasoning.text` or "
                "`reasoning.summary`. Of `thinking` parts, what each carries besides."
            )
        ),
    ] = None
