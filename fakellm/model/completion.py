"""What a model says, and the chunks it is said in. Owns these values.

Knows no JSON and no bytes, and nothing of how a provider spells a chunk or how an answer is divided.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class ToolCall(Struct, frozen=True):
    """A call of a tool. `arguments` is text, usually JSON, kept to the letter."""

    id: str
    name: str
    arguments: str = "{}"


class Token(Struct, frozen=True, array_like=True):
    """A token, with the natural logarithm of its probability, in YAML a list: ``[" is", -0.25, [[" was", -1.5]]]``.

    `top`: the likeliest tokens in its place. `bytes`: its UTF-8, where that is not the token's own, as that of half a
    character; null where it stands for no text.
    """

    token: str
    logprob: float
    top: tuple[Token, ...] = ()
    bytes: tuple[int, ...] | None = ()


class Choice(Struct, frozen=True):
    """One answer. An empty text means that there is none; no `finish_reason` means that none was ever sent.

    `logprobs`, `refusal_logprobs`: the tokens of the content and of the refusal, where they were asked for.
    `annotations`: what the content cites, each as it stands on the wire.
    """

    content: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    logprobs: tuple[Token, ...] = ()
    refusal_logprobs: tuple[Token, ...] = ()
    annotations: tuple[dict[str, Any], ...] = ()


class Usage(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Tokens: those of the prompt (`cached` among them), those of the completion, those spent on reasoning.

    Whether `completion` includes `reasoning` and what the total is differs between providers; with no `total` given the
    dialect does its usual sum. `details`: what follows the three sums on the wire, word for word, in place of what the
    dialect would make of the numbers above.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0
    total: int | None = None
    details: dict[str, Any] | None = None


class Completion(Struct, frozen=True):
    """All that a model says in one reply. `created` is in Unix seconds; choices stand in the order of their index."""

    id: str
    created: int
    model: str
    choices: tuple[Choice, ...]
    usage: Usage | None = None
    system_fingerprint: str | None = None
