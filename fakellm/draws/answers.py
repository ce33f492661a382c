"""Draws of answers as a sound provider gives them, biased towards the texts and arguments that have hurt clients."""

from __future__ import annotations

from fakellm.completion import Choice, Completion, ToolCall, Usage
from fakellm.draws.picks import Picks

TEXTS = (
    "a",
    "Hello, world.",
    "中文",
    "Zürich 🌍",
    "👩\u200d🚀",  # one sign of several characters, joined
    "e\u0301",  # a combining mark
    "\u2028",  # with \u2029, \x85, \v and \f: ends of lines to some readers, not to the standard
    "a\u2029b",
    "\x85",
    "\v\f",
    "\x1c\x1d\x1e",
    "\r\n",
    "\n\n",
    "data: {}\n\n",
    "[DONE]",
    "data: [DONE]\n\n",
    ": ping",
    ":",
    " id",
    "event: error\ndata: {}",
    '{"choices": []}',
    '{"error": {"message": "x"}}',
    "<think>",
    "</think>",
    "\\",
    '\\"',
    "\\u00e9",
    "\ufeff",
    "\0",
    " ",
    "  two  spaces  ",
    "```json\n{}\n```",
    "None",
    "null",
)
"""What real clients have stumbled over: it looks like the framing, or must not be cut, or is no end of a line."""

ARGUMENTS = (
    '{"a":1}',
    "{}",
    "",
    '{"city":"Paris"}',
    '{"city":"Zürich 中 🌍"}',
    '{"n":9007199254740993}',
    '{"id":1234567890123456789}',
    '{"text":"a \\"b\\" \\\\"}',
    '{"path":"C:\\\\"}',
    '{"text":"\\ud83c\\udf0d \\u00e9"}',
    '{"json":"{\\"a\\":{\\"b\\":[1]}}"}',
    '{"text":"data: {}\\n\\n"}',
    '{"text":"a\u2028b"}',
    '{"a":{"b":{"c":{"d":[[[[1]]]]}}}}',
    '{"a": 1, "b": [true, null]}',
    '{"a":1} ',
    '{"text":"}{"}',
)

_MORE = ("", *TEXTS)
_NAMES = ("f", "get_weather", "add-2")
_USAGES = (Usage(3, 5), Usage(12, 1), Usage(100, 50, cached=10, reasoning=7), Usage(2**33, 2**31))
_KINDS = ("text", "calls", "text", "text and calls", "reasoning", "any text", "calls", "refusal", "choices", "length")
_CHARACTERS = (
    range(ord("a"), ord("z") + 1),
    range(0x20, 0x7F),
    range(0x20),
    range(0x7F, 0x100),
    range(0x100, 0xD800),
    range(0xE000, 0x10000),
    range(0x10000, 0x110000),
)
"""All there are but lone surrogates, the plain ones first."""


def answer(picks: Picks) -> Completion:
    """A whole answer that every client must read: something is said, the finish reason fits it, and usage is given.

    Nine in ten have one choice. The plainest is the text "a".
    """
    kind = picks.choice(_KINDS)
    choices = tuple(_choice(picks, kind) for _ in range(2 if kind == "choices" else 1))
    return Completion("chatcmpl-1", 1_700_000_000, "fakellm", choices, picks.choice(_USAGES))


def _choice(picks: Picks, kind: str) -> Choice:
    match kind:
        case "refusal":
            return Choice(refusal=_text(picks), finish_reason="stop")
        case "reasoning":
            return Choice(_text(picks), reasoning=_text(picks), finish_reason="stop")
        case "calls":
            return Choice(tool_calls=_calls(picks), finish_reason="tool_calls")
        case "text and calls":
            return Choice(_text(picks), tool_calls=_calls(picks), finish_reason="tool_calls")
        case "any text":
            characters = [picks.choice(picks.choice(_CHARACTERS)) for _ in range(1 + picks.below(6))]
            return Choice("".join(map(chr, characters)), finish_reason="stop")
    return Choice(_text(picks), finish_reason="length" if kind == "length" else "stop")


def _text(picks: Picks) -> str:
    return picks.choice(TEXTS) + picks.choice(_MORE)


def _calls(picks: Picks) -> tuple[ToolCall, ...]:
    many = 1 + picks.below(3)
    return tuple(ToolCall(f"call_{number}", picks.choice(_NAMES), picks.choice(ARGUMENTS)) for number in range(many))
