"""The `reply:` block of a rule: an incomplete completion. Other values come from the seed and the request.

Owns these values, and the way from a completion to a reply and back; knows no rule.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from fakellm.apis.chat.meaning import annotations_of, chat_choice, logprobs_of
from fakellm.base.json_text import dumps
from fakellm.base.validation import FieldError, Path, shortened
from fakellm.base.words.explained import Explaining
from fakellm.faults.base import check_headers
from fakellm.generate import Generate
from fakellm.model.blocks import Block, Choice, Completion, Own, Refusal, Text, Token, ToolCall
from fakellm.model.request import Request
from fakellm.scenarios import templates
from fakellm.scenarios.reply_blocks import (
    CallBlock,
    ReplyBlock,
    check_block,
    check_own,
    core_block,
    reply_block,
    texts_of,
)
from fakellm.scenarios.usage import Usage, usage_block


class Call(Struct, metaclass=Explaining, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A tool call. `arguments` is the text on the wire, or a mapping that is written as compact JSON."""

    name: str
    arguments: str | dict[str, Any] = "{}"
    id: Annotated[str | None, Meta(description="By default it is drawn. Chat and Messages send an empty one.")] = None
    kind: Annotated[
        Literal["function", "custom"],
        Meta(description="`custom` for a call of a custom tool, whose input is `arguments`."),
    ] = "function"
    own: Annotated[
        Own,
        Meta(
            description=(
                "What only one API sends with it, by the name of the API: "
                "`{chat: {extra_content: {google: {thought_signature: …}}}}`."
            )
        ),
    ] = {}


class ReplyChoice(Struct, metaclass=Explaining, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One choice. The default `finish_reason` is `tool_calls` if there are calls, otherwise `stop`;
    `finish_reason: null` sends none."""

    content: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[Call, ...] = ()
    finish_reason: str | UnsetType | None = UNSET
    logprobs: Annotated[
        tuple[Token, ...],
        Meta(
            description=(
                "The tokens of the content, each as a list of its text, the logarithm of its probability and, "
                'optionally, the alternatives: `[[It, -0.1], [" is", -0.2, [[" was", -1.9]]]]`.'
            )
        ),
    ] = ()
    refusal_logprobs: Annotated[
        tuple[Token, ...],
        Meta(
            description=(
                "The tokens of the refusal, each as a list of its text, the logarithm of its probability and, "
                'optionally, the alternatives: `[[It, -0.1], [" is", -0.2, [[" was", -1.9]]]]`.'
            )
        ),
    ] = ()
    annotations: Annotated[
        tuple[dict[str, Any], ...],
        Meta(description=("What the content cites, each exactly as on the wire, whatever the dialect.")),
    ] = ()
    template: Annotated[
        bool,
        Meta(
            description=("The texts and the arguments have placeholders such as `{{user}}`, which the request fills.")
        ),
    ] = False
    blocks: Annotated[
        tuple[ReplyBlock, ...],
        Meta(
            description=(
                "The choice as a list of blocks, where their order matters: each has a `type`, which is `text`, "
                "`refusal`, `thinking` (its `parts` are texts), `tool_call` or `opaque`. They replace all fields "
                "above but `finish_reason`."
            )
        ),
    ] = ()
    own: Annotated[
        Own,
        Meta(
            description=(
                "What only one API sends with the finish, by the name of the API: `{messages: {stop_sequence: END}}`."
            )
        ),
    ] = {}

    def __post_init__(self) -> None:
        beside = [name for name in _IN_BLOCKS if getattr(self, name)]
        if self.blocks and beside:
            raise FieldError((beside[0],), f"{beside[0]!r} beside 'blocks': make it one of the blocks")
        check_own(self.own)
        for number, call in enumerate(self.tool_calls):
            if not isinstance(call, Call):
                remedy = 'write fakellm.call("name", key=value) or fakellm.Call(…)'
                raise FieldError(
                    ("tool_calls", number), f"tool_calls[{number}]: expected a Call, got {shortened(call)}; {remedy}"
                )
            check_own(call.own, ("tool_calls", number))
        for number, block in enumerate(self.blocks):
            check_block(block, ("blocks", number))
        for name, part in (("logprobs", "content"), ("refusal_logprobs", "refusal")):
            if getattr(self, name) and not getattr(self, part):
                raise FieldError((name,), f"{name!r} without {part!r}: they are the tokens of that text")
        for path, text in self.texts() if self.template else ():
            try:
                templates.check(text)
            except ValueError as error:
                raise FieldError(path, str(error)) from None

    def texts(self) -> Iterator[tuple[Path, str]]:
        """Each text with its path, and each text in the arguments of calls."""
        yield from (((name,), getattr(self, name)) for name in ("content", "reasoning", "refusal"))
        for number, call in enumerate(self.tool_calls):
            yield from templates.texts_in(call.arguments, ("tool_calls", number, "arguments"))
        for number, block in enumerate(self.blocks):
            yield from texts_of(block, ("blocks", number))

    @property
    def calls(self) -> int:
        """How many tool calls it has."""
        return len(self.tool_calls) + sum(isinstance(block, CallBlock) for block in self.blocks)


_IN_BLOCKS = ("content", "reasoning", "refusal", "tool_calls", "logprobs", "refusal_logprobs", "annotations")


class Reply(ReplyChoice, frozen=True, dict=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `reply:` block of a rule: one choice, or several under `choices`, and the fields around them.

    By default `id`, `created` and `system_fingerprint` come from the seed, `model` is the requested one, and `usage` is
    counted; `usage: null` sends none, and `system_fingerprint: null` sends a null. `headers` are headers of the
    response, in addition to the usual ones or instead of them. With `generate`, the content comes from the seed too,
    and follows the request.
    """

    generate: Generate | None = None
    choices: tuple[ReplyChoice, ...] = ()
    id: Annotated[str, Meta(min_length=1)] | None = None
    created: Annotated[int, Meta(ge=1)] | None = None
    model: Annotated[str, Meta(min_length=1)] | None = None
    system_fingerprint: str | UnsetType | None = UNSET
    usage: Usage | UnsetType | None = UNSET
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_headers(self.headers)
        unset: tuple[Any, ...] = ("", (), {}, UNSET, False)
        names = [name for name in ReplyChoice.__struct_fields__ if getattr(self, name) not in unset]
        if self.choices and names:
            raise FieldError((names[0],), f"{names[0]!r} beside 'choices': put it in a choice, or leave out 'choices'")
        if self.generate and (names := [*names, *(["choices"] if self.choices else [])]):
            raise FieldError((names[0],), f"{names[0]!r} beside 'generate': leave out one of them")

    @cached_property
    def extent(self) -> tuple[int, int]:
        """How many characters its texts have and, if any of them are templates, how many placeholders they may have."""
        choices = self.choices or (self,)
        texts = [text for choice in choices for _, text in choice.texts()]
        templates = any(choice.template for choice in choices)
        return sum(map(len, texts)), sum(text.count("{{") for text in texts) if templates else 0

    def placeholders(self) -> Iterator[Path]:
        """The names in the placeholders of its templates."""
        choices = [choice for choice in self.choices or (self,) if choice.template]
        return (
            placeholder
            for choice in choices
            for _, text in choice.texts()
            for placeholder in templates.placeholders(text)
        )

    def unfilled(self) -> Iterator[str]:
        """What looks like a placeholder in texts without `template`, and is sent as it is."""
        choices = [choice for choice in self.choices or (self,) if not choice.template]
        return (each for choice in choices for _, text in choice.texts() for each in templates.known_placeholders(text))


class Computed(Reply, frozen=True, kw_only=True):
    """A reply that a Python function makes from the request: it returns the whole Reply, or a text.

    It is called once for each request that its rule matches: in its own thread or, if it is async, on the event loop.
    YAML cannot express it.
    """

    function: Callable[[Request], Reply | str | Awaitable[Reply | str]]

    def __post_init__(self) -> None:
        plain = Reply()
        for name in Reply.__struct_fields__:
            if getattr(self, name) != getattr(plain, name):
                raise FieldError((name,), f"{name!r} beside a function: set it in the Reply that the function returns")


def reply_of(completion: Completion, values: Mapping[str, Any] | None = None) -> Reply:
    """The complete reply that gives exactly this completion. `values`: the id, created, model and system_fingerprint
    around it; a value that is absent is drawn."""
    choices = tuple(_reply_choice(choice) for choice in completion.choices)
    around: dict[str, Any] = dict(values or {})
    around["usage"] = completion.usage and usage_block(completion.usage)
    if len(choices) == 1:
        return Reply(**msgspec.structs.asdict(choices[0]), **around)
    return Reply(choices=choices, **around)


def choice_blocks(choice: ReplyChoice) -> tuple[Block, ...]:
    """The blocks of an answer."""
    if choice.blocks:
        return tuple(map(core_block, choice.blocks))
    calls = (
        ToolCall(
            call.id,
            call.name,
            call.arguments if isinstance(call.arguments, str) else dumps(call.arguments),
            call.kind,
            call.own,
        )
        for call in choice.tool_calls
    )
    return chat_choice(
        choice.content,
        choice.reasoning,
        choice.refusal,
        calls,
        None,
        choice.logprobs,
        choice.refusal_logprobs,
        choice.annotations,
    ).blocks


def _reply_choice(choice: Choice) -> ReplyChoice:
    """The answer in the short form, or as blocks if the short form would lose something."""
    short = ReplyChoice(
        choice.content,
        choice.reasoning,
        choice.refusal,
        tuple(
            Call(
                call.name, call.arguments, call.id or None, "custom" if call.kind == "custom" else "function", call.own
            )
            for call in choice.tool_calls
        ),
        choice.finish_reason,
        logprobs_of(choice, Text) if choice.content else (),
        logprobs_of(choice, Refusal) if choice.refusal else (),
        tuple(annotations_of(choice)),
    )
    own = choice.finish.own if choice.finish else {}
    if choice_blocks(short) == choice.blocks:
        return msgspec.structs.replace(short, own=own)
    return ReplyChoice(finish_reason=choice.finish_reason, blocks=tuple(map(reply_block, choice.blocks)), own=own)
