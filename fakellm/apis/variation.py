"""Variation: the `stream:` block of a rule, ways of sending a completion that keep its meaning. Owns the values, not
their effect.

`divide` turns them into batches. A dialect sets the variation that is usual for its provider.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from fakellm.apis.gemini.stream_keys import GeminiKeys
from fakellm.apis.messages.stream_keys import MessagesKeys
from fakellm.apis.ollama.stream_keys import OllamaKeys
from fakellm.apis.responses.spelling import ResponsesSpelling
from fakellm.apis.variation_blocks import MOST_CHUNKS, Calls, Field, Filler, Padding, Positive, Reasoning, Spelling
from fakellm.base.validation import FieldError
from fakellm.base.words.explained import Explaining
from fakellm.base.words.near_miss import near_miss
from fakellm.streaming.division import LATE, Division, Silences
from fakellm.streaming.score import Score
from fakellm.streaming.splitting import Cut
from fakellm.wire.framing import Framing
from fakellm.wire.http.transfer import Transfer

_TURN = r"^(content|reasoning|refusal|tool_calls|opaque|choices\[\d+\])$"

Turn = tuple[Annotated[str, Meta(pattern=_TURN)], Positive]

SPLIT_ADDRESSES = ("content", "reasoning", "refusal", "arguments", "tool_calls[0].arguments", "choices[1].content")
_PART = re.compile(r"(choices\[\d+\]\.)?(content|reasoning|refusal|tool_calls\[\d+\]\.arguments)|arguments")


class Variation(Struct, metaclass=Explaining, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `stream:` block of a rule. A field that is not set is as the provider usually sends it: the plain wire."""

    padding: Annotated[
        Annotated[int, Meta(ge=0, le=MOST_CHUNKS)] | Literal["reasoning"] | tuple[Padding, ...] | None,
        Meta(
            description=(
                "How many empty deltas follow the role, as a provider sends while the model reasons silently; "
                "`reasoning` for one fewer than there are reasoning tokens, as xAI does; or a list of kinds of "
                "padding."
            )
        ),
    ] = None
    split: Annotated[
        Cut | dict[str, Cut] | None,
        Meta(
            description=(
                "How texts are cut; one way for all, or by part: `content`, `reasoning`, `refusal`, `arguments` in "
                "every choice and call, or one of them by its address, `choices[1].content` or "
                "`tool_calls[0].arguments` (of choice 0 if no choice is named). A call whose arguments are not "
                "`whole` opens with its id and name."
            )
        ),
    ] = None
    role: Annotated[
        Literal["alone", "first", "call", "every", "texts", "repeated", "never"] | None,
        Meta(
            description=(
                "In a delta of its own (`alone`), in the `first` delta with content, there only if that is the one "
                "tool `call` of the choice, in `every` delta, in all but those of tool calls (`texts`), `repeated`: "
                "alone and then in every delta, or `never`."
            )
        ),
    ] = None
    together: Annotated[
        tuple[Literal["choices", "calls", "parts"], ...] | None,
        Meta(
            description=(
                "What shares chunks, turn by turn: parallel `choices`, parallel `calls`, the `parts` of one answer."
            )
        ),
    ] = None
    turns: Annotated[
        tuple[Turn, ...] | None,
        Meta(
            description=(
                "The order of the parts, as pairs of a name and a number of chunks: `[[reasoning, 3], [content, 1], "
                '[reasoning, 2]]`; or for parallel choices `[["choices[0]", 2], ["choices[1]", 1]]`, role and finish'
                " included. What is left when the turns are over follows in the usual order."
            )
        ),
    ] = None
    interleave: Annotated[
        Literal["none", "choices", "calls", "both"] | None,
        Meta(
            description=(
                "Whose chunks take turns: those of parallel choices, those of a choice's parallel tool calls, or both."
            )
        ),
    ] = None
    calls: Annotated[Calls | None, Meta(description="How tool calls are spelled.")] = None
    reasoning: Annotated[
        Reasoning | None,
        Meta(
            description=(
                "The key that carries it: one of two, `reasoning` beside `reasoning_details`, or the latter alone; "
                "a list of several of these keys; "
                "or as `thinking` parts of a content that is a list (Mistral); or (contested) in the content, "
                "between tags, as `think`: it is cut as the content is then, and a whole body has it there too."
            )
        ),
    ] = None
    fill: Annotated[
        dict[Literal["opening", "delta", "finish"], dict[Field, Filler]] | None,
        Meta(
            description=(
                "The value of fields that have no content, by kind of delta: the `opening` with the role, any "
                "`delta`, the `finish`. `text`: empty, but null beside a tool call and in an opening that calls "
                "follow."
            )
        ),
    ] = None
    finish: Annotated[
        Literal["alone", "last", "call", "calls", "early", "twice"] | None,
        Meta(
            description=(
                "The reason in a delta of its own (`alone`), with the `last` that has content, there only if that is"
                " a tool `call`, with the last delta of each of the `calls` and then alone, `early`: alone and before "
                "the last that has content, if there are several, or sent `twice`."
            )
        ),
    ] = None
    unfinished: Annotated[
        Literal["null", "absent", "empty"] | None, Meta(description="What `finish_reason` is before the end.")
    ] = None
    usage: Annotated[
        Literal["own", "finish", "both", "after", "every", "running", "none"] | None,
        Meta(
            description=(
                "Where it is: in a chunk of its `own`, with the `finish`, in `both`, `after` the finish in a chunk "
                "with an empty choice, in `every` chunk, final, or as a `running` count; or `none`. If it is set "
                "here, it is sent whether or not it is requested."
            )
        ),
    ] = None
    usage_before: Annotated[
        Literal["absent", "null", "empty", "zeros"] | None,
        Meta(
            description=(
                "What `usage` is in the other chunks of a stream that has it; `empty`: an empty object, `zeros`: "
                "counts of 0."
            )
        ),
    ] = None
    usage_choices: Annotated[
        Literal["empty", "null", "absent"] | None,
        Meta(description="What `choices` is in a chunk that has only the usage: an `empty` list, null, or no key."),
    ] = None
    done: Annotated[
        bool | Annotated[str, Meta(pattern=r"^ *\[DONE\] *$")] | None,
        Meta(description="Whether `[DONE]` ends the stream; or that text with spaces around it."),
    ] = None
    id: Annotated[
        Literal["constant", "first_empty", "changing"] | None,
        Meta(description="The id of the chunks: one for all, empty in the first, or another in each."),
    ] = None
    ticks: Annotated[
        tuple[Positive, ...] | None,
        Meta(
            description=(
                "The numbers of the chunks, counted from 0, before which the provider's clock moved on: `created` is"
                " one second later from each of them on. The first chunk has the time of the reply."
            )
        ),
    ] = None
    spelling: Annotated[Spelling | None, Meta(description="How the JSON is written.")] = None
    obfuscation: Annotated[
        bool | None,
        Meta(
            description=(
                "Whether each chunk has random text that hides its length, as OpenAI sends it. If it is not set, it "
                "is sent if `stream_options.include_obfuscation` requests it. OpenAI sends it without a request too,"
                " but then no frame could be read or compared at a glance."
            )
        ),
    ] = None
    sse: Annotated[
        Framing | None, Meta(description=("How the events are framed; the block replaces the usual one as a whole."))
    ] = None
    transfer: Annotated[
        Transfer | None, Meta(description="How the bytes leave; the block replaces the usual one as a whole.")
    ] = None
    score: Annotated[
        Score | None,
        Meta(
            description=(
                "What each batch of the stream holds, in place of everything that divides it, as `fakellm import` "
                "writes it for APIs whose streams no other field describes."
            )
        ),
    ] = None

    # What only one API has, by its name. Other APIs ignore it.
    responses: Annotated[
        ResponsesSpelling | None, Meta(description="How the Responses API spells a reply, beside the other keys.")
    ] = None
    messages: Annotated[
        MessagesKeys | None, Meta(description="How the Messages API spells a reply, beside the other keys.")
    ] = None
    gemini: Annotated[
        GeminiKeys | None, Meta(description="How the Gemini API spells a reply, beside the other keys.")
    ] = None
    ollama: Annotated[
        OllamaKeys | None, Meta(description="How Ollama's own API spells a reply, beside the other keys.")
    ] = None

    def __post_init__(self) -> None:
        for part in self.split if isinstance(self.split, dict) else ():
            if not _PART.fullmatch(part):
                known = ", ".join(SPLIT_ADDRESSES)
                message = f"{part!r} is not a part of a reply; parts are {known}{near_miss(part, SPLIT_ADDRESSES)}"
                raise FieldError(("split", part), message)
        if self.sse and self.sse.after and self.done is False:
            raise FieldError(("sse", "after"), "events after a '[DONE]' that is not sent would be part of the reply")

    def over(self, usual: Variation) -> Variation:
        """This variation with what it does not set filled in from `usual`: fields, and the keys of nested blocks."""
        done = True if self.done is None and self.sse and self.sse.after else self.done  # `after` follows a [DONE]
        filled: Variation = _over(msgspec.structs.replace(self, done=done), usual)
        return filled


OWN_BLOCKS = frozenset({"responses", "messages", "gemini", "ollama"})
"""The fields that have no effect in any API but the one of that name."""
_FILLED: tuple[type[Struct], ...] = (
    Variation,
    Calls,
    Spelling,
    ResponsesSpelling,
    MessagesKeys,
    GeminiKeys,
    OllamaKeys,
)
"""Blocks that are filled in key by key."""


def _over(value: Any, usual: Any) -> Any:
    """`value` if it is set, else `usual`; blocks and mappings are filled in key by key."""
    if value is None:
        return usual
    if isinstance(value, dict) and isinstance(usual, dict):
        return usual | value
    if isinstance(value, _FILLED) and type(value) is type(usual):
        own = ((name, getattr(value, name)) for name in value.__struct_fields__)
        fields = {name: _over(each, getattr(usual, name)) for name, each in own if each is not None}
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
    usage_choices="empty",
    done=True,
    id="constant",
    ticks=(),
    spelling=Spelling(
        ascii=False, html=False, spaces=False, floats="exponent", escapes="usual", order="usual", extra={}, each={}
    ),
    obfuscation=False,
)
"""Every field set: one chunk for each delta."""


_START: dict[str | None, Literal["alone", "first", "call", "joined"]] = {
    "alone": "alone",
    "repeated": "alone",
    "first": "first",
    "call": "call",
}
"""Where a choice starts, by `role`; with any other `role`, it is joined to its first batch."""


def division_of(full: Variation) -> Division:
    """The part of a variation that every API has; every field must be set."""
    calls = full.calls or Calls()
    return Division(
        split=full.split or "whole",
        start=_START.get(full.role, "joined"),
        opening=calls.opening or "alone",
        late=tuple(key for key in LATE if getattr(calls, key) == "late"),
        together=full.together or (),
        turns=full.turns or (),
        interleave=full.interleave or "none",
        order=calls.order or "given",
        before=calls.before,
        silences=_silences(full.padding),
        finish=full.finish or "alone",
        usage=full.usage or "own",
    )


def _silences(padding: int | str | tuple[Padding, ...] | None) -> tuple[Silences, ...]:
    """The padding of a Variation as the silences of a Division."""
    if padding == "reasoning":
        return (Silences("reasoning"),)
    if isinstance(padding, int):
        return (Silences(padding),) if padding else ()
    return tuple(Silences(each.count, each.before, _look(each)) for each in padding or () if isinstance(each, Padding))


def _look(padding: Padding) -> Any:
    """How chat shows a silence: its delta, or a chunk without choices."""
    if padding.chunk is not None or padding.choices is not True:
        how = {"choices": padding.choices} if isinstance(padding.choices, str) else {}
        return {"chunk": padding.chunk or {}} | how
    return None if padding.delta is None else {"delta": padding.delta}
