"""How a completion is sent, with its meaning kept: the `stream:` block of a rule. Owns the values, not their effect.

`divide` turns them into chunks. Which variation is usual for a provider is its dialect's to say.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from fakellm.base.validation import FieldError, near_miss
from fakellm.streaming.score import Score
from fakellm.streaming.splitting import Cut
from fakellm.wire.framing import Framing
from fakellm.wire.transfer import Transfer

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
_TURN = r"^(content|reasoning|refusal|tool_calls|choices\[\d+\])$"
Field = Literal["content", "reasoning", "refusal", "tool_calls"]
Filler = Literal["empty", "null", "text"]

Turn = tuple[Annotated[str, Meta(pattern=_TURN)], Positive]

PARTS = ("content", "reasoning", "refusal", "arguments", "tool_calls[0].arguments", "choices[1].content")
_PART = re.compile(r"(choices\[\d+\]\.)?(content|reasoning|refusal|tool_calls\[\d+\]\.arguments)|arguments")


class Padding(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Chunks without content, as a provider sends to show that it is alive.

    before: where: before the first content of each choice (`content`: after the role), before each further delta of it
        (`delta`), before its finish (`finish`), or before the chunks of the stream with these numbers, counted from 0
        without this padding.
    delta: what they carry; by default the provider's usual empty delta, otherwise exactly this, such as
        ``{content: ""}``.
    choices: false for chunks with `choices: []`.
    """

    count: Positive = 1
    before: Literal["content", "delta", "finish"] | tuple[Count, ...] = "content"
    delta: dict[str, Any] | None = None
    choices: bool = True


class Calls(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How tool calls are spelled, where that differs from the provider's habit.

    opening: what a call opens with if its arguments are cut: its id and name `alone`, with the first `piece` of the
        arguments, or both in one delta as two entries with the same index (`pair`, vLLM's speculative decoding).
    arguments: the `arguments` of an opening that has none yet.
    id, name, type: their values in the pieces after the opening. `late`: not in the opening but in the piece after it.
    index: as it is, missing, null, counted from 1, or (contested) 0 for every call.
    order: whether calls are sent in the order of their index, or the last first.
    before: the piece of the text (`content`, then `refusal`), counted from 0, before which they are sent; without it,
        they follow the text. It has no effect where the `parts` of an answer have `turns` or share chunks.
    """

    opening: Literal["alone", "piece", "pair"] | None = None
    arguments: Literal["empty", "null", "absent"] | None = None
    id: Literal["once", "repeated", "empty", "null"] | None = None
    name: Literal["once", "repeated", "empty", "null", "late"] | None = None
    type: Literal["once", "repeated", "empty", "null"] | None = None
    index: Literal["given", "absent", "null", "from_one", "zero"] | None = None
    order: Literal["given", "reversed"] | None = None
    before: Count | None = None


class Spelling(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the JSON of a chunk is written, where that differs from the provider's habit.

    ascii: `\\uXXXX` for all but ASCII. html: the same for `<`, `>` and `&`, as Go writes JSON. spaces: one after each
        colon and comma. floats: small ones as Python writes them, `2e-05`, or as `decimal` fractions, as JavaScript
        does. order: of all keys.
    keys, choice_keys, delta_keys, usage_keys: those of a chunk, each choice, its delta and the usage, in this order;
        others are left out. last_keys: those of chunks with a finish or the usage, if their order differs.
    call_keys, piece_keys: those of a tool call that has its name, and of further pieces of it.
    extra: keys that every chunk carries in addition; those of its choices and their deltas as `choice.x` and `delta.x`.
    each: keys with a different value in each chunk, as a list of values or by the chunk's number, counted from 0.
        Chunks that it does not mention go without, except for what the reply has there (role, texts, calls, usage).
        Beware: a value given here replaces that of the reply.
    details: what each item of `reasoning_details` carries besides its text; its `type` is `reasoning.text` or
        `reasoning.summary`.
    """

    ascii: bool | None = None
    html: bool | None = None
    spaces: bool | None = None
    floats: Literal["exponent", "decimal"] | None = None
    order: Literal["usual", "sorted", "reversed"] | None = None
    keys: tuple[str, ...] | None = None
    last_keys: tuple[str, ...] | None = None
    choice_keys: tuple[str, ...] | None = None
    delta_keys: tuple[str, ...] | None = None
    usage_keys: tuple[str, ...] | None = None
    call_keys: tuple[str, ...] | None = None
    piece_keys: tuple[str, ...] | None = None
    extra: dict[str, Any] | None = None
    each: dict[str, tuple[Any, ...] | dict[Count, Any]] | None = None
    details: dict[str, Any] | None = None


class Variation(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `stream:` block of a rule. A field that is not set is as the provider usually does it: the plain wire.

    padding: how many empty deltas follow the role, as a provider sends while the model reasons silently; `reasoning`
        for one fewer than there are reasoning tokens, as xAI does; or a list of kinds of padding.
    split: how texts are cut; one way for all, or by part: `content`, `reasoning`, `refusal`, `arguments` in every
        choice and call, or one of them by its address, `choices[1].content` or `tool_calls[0].arguments` (of choice 0
        if no choice is named). A call whose arguments are not `whole` opens with its id and name.
    role: in a delta of its own (`alone`), in the `first` delta with content, there only if that is the one tool `call`
        of the choice, in `every` delta, in all but those of tool calls (`texts`), `repeated`: alone and then in every
        delta, or `never`.
    together: what shares chunks, turn by turn: parallel `choices`, parallel `calls`, the `parts` of one answer.
    turns: the order of the parts, as pairs of a name and a number of chunks:
        `[[reasoning, 3], [content, 1], [reasoning, 2]]`; or for parallel choices
        `[["choices[0]", 2], ["choices[1]", 1]]`, role and finish included. What is left when the turns are over follows
        in the usual order.
    interleave: whose chunks take turns: those of parallel choices, those of a choice's parallel tool calls, or both.
    calls: how tool calls are spelled.
    reasoning: the key that carries it: one of two, `reasoning` beside `reasoning_details`, or the latter alone; or as
        `thinking` parts of a content that is a list (Mistral); or (contested) in the content, between tags, as `think`:
        it is cut as the content is then, and a whole body has it there too.
    fill: the value of fields that have no content, by kind of delta: the `opening` with the role, any `delta`, the
        `finish`. `text`: empty, but null beside a tool call and in an opening that calls follow.
    finish: the reason in a delta of its own (`alone`), with the `last` that has content, there only if that is a tool
        `call`, `early`: alone and before the last that has content, if there are several, or sent `twice`.
    unfinished: what `finish_reason` is before the end.
    usage: where it is: in a chunk of its `own`, with the `finish`, in `both`, `after` the finish in a chunk with an
        empty choice, in `every` chunk, final, or as a `running` count; or `none`. If it is set here, it is sent whether
        or not it is requested.
    usage_before: what `usage` is in the other chunks of a stream that has it.
    done: whether `[DONE]` ends the stream.
    id: of the chunks: one for all, empty in the first, or another in each.
    ticks: the numbers of the chunks, counted from 0, before which the provider's clock moved on: `created` is one
        second later from each of them on. The first chunk has the time of the reply.
    spelling: how the JSON is written.
    obfuscation: whether each chunk has random text that hides its length, as OpenAI sends it. If it is not set, it is
        sent if `stream_options.include_obfuscation` requests it. OpenAI sends it without a request too, but then no
        frame could be read or compared at a glance.
    sse: how the events are framed; the block replaces the usual one as a whole.
    transfer: how the bytes leave; the block replaces the usual one as a whole.
    score: what each batch of the stream holds, in place of everything that divides it, as `fakellm import` writes it
        for APIs whose streams no other field describes.
    """

    padding: Count | Literal["reasoning"] | tuple[Padding, ...] | None = None
    split: Cut | dict[str, Cut] | None = None
    role: Literal["alone", "first", "call", "every", "texts", "repeated", "never"] | None = None
    together: tuple[Literal["choices", "calls", "parts"], ...] | None = None
    turns: tuple[Turn, ...] | None = None
    interleave: Literal["none", "choices", "calls", "both"] | None = None
    calls: Calls | None = None
    reasoning: Literal["reasoning_content", "reasoning", "both", "reasoning_details", "thinking", "think"] | None = None
    fill: dict[Literal["opening", "delta", "finish"], dict[Field, Filler]] | None = None
    finish: Literal["alone", "last", "call", "early", "twice"] | None = None
    unfinished: Literal["null", "absent", "empty"] | None = None
    usage: Literal["own", "finish", "both", "after", "every", "running", "none"] | None = None
    usage_before: Literal["absent", "null"] | None = None
    done: bool | None = None
    id: Literal["constant", "first_empty", "changing"] | None = None
    ticks: tuple[Positive, ...] | None = None
    spelling: Spelling | None = None
    obfuscation: bool | None = None
    sse: Framing | None = None
    transfer: Transfer | None = None
    score: Score | None = None

    def __post_init__(self) -> None:
        for part in self.split if isinstance(self.split, dict) else ():
            if not _PART.fullmatch(part):
                message = f"{part!r} is not a part of a reply; parts are {', '.join(PARTS)}{near_miss(part, PARTS)}"
                raise FieldError(("split", part), message)
        if self.sse and self.sse.after and self.done is False:
            raise FieldError(("sse", "after"), "events after a '[DONE]' that is not sent would be part of the reply")

    def over(self, usual: Variation) -> Variation:
        """This variation with what it does not set filled in from `usual`: fields, and the keys of nested blocks."""
        done = True if self.done is None and self.sse and self.sse.after else self.done  # there is an after
        filled: Variation = _over(msgspec.structs.replace(self, done=done), usual)
        return filled


def _over(value: Any, usual: Any) -> Any:
    """`given` where it says something, else `usual`; blocks and mappings are filled in key by key."""
    if value is None:
        return usual
    if isinstance(value, dict) and isinstance(usual, dict):
        return usual | value
    if isinstance(value, (Variation, Calls, Spelling)) and type(value) is type(usual):
        fields = {name: _over(getattr(value, name), getattr(usual, name)) for name in value.__struct_fields__}
        return msgspec.structs.replace(usual, **fields)
    return value


PLAIN = Variation(
    padding=0,
    split="whole",
    role="alone",
    together=(),
    interleave="none",
    calls=Calls(opening="alone", arguments="empty", id="once", name="once", type="once", index="given", order="given"),
    reasoning="reasoning_content",
    fill={},
    finish="alone",
    unfinished="absent",
    usage="own",
    usage_before="absent",
    done=True,
    id="constant",
    ticks=(),
    spelling=Spelling(ascii=False, html=False, spaces=False, floats="exponent", order="usual", extra={}, each={}),
    obfuscation=False,
)
"""Every field set: one chunk for each thing there is to send."""
