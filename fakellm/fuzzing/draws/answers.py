"""Draws answers as a correct provider sends them, biased towards texts and arguments that have broken clients."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from fakellm.apis.chat.meaning import chat_choice
from fakellm.fuzzing.draws.picks import Picks
from fakellm.model.blocks import Choice, Completion, Stop, Text, Thinking, ToolCall, Usage
from fakellm.scenarios.reply import Reply, reply_of

TEXTS = (
    "a",
    "Hello, world.",
    "中文",
    "Zürich 🌍",
    "👩\u200d🚀",  # one visible character made of several code points
    "e\u0301",  # a combining mark
    "\u2028",  # like \u2029, \x85, \v and \f, a line end to some readers but not in the standard
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
    "0",
    "false",
    "[]",
    '{"a":1, "b": [ true ]}',
    "\na",
    "a\n",
    " a b ",
    "\ta\tb",
    "a\u00a0b",
    "a\\nb",  # a backslash and an n, as in source code
    "getWeather",
    "\u201ca\u201d \u2013 \u2018b\u2019\u2026",  # typographic quotation marks
    "<b>a & b</b>",
    "&lt;b&gt; &amp;amp;",
    "haha",
    "\n\n\n\n",
    "1100",
    "}}))",
    "%s {0} {{a}} $&",  # placeholders to template engines
)
"""Texts that have broken real clients: they look like framing, must not be cut, or are wrongly taken for line ends;
they mean something in HTML, JSON or a template; they repeat themselves, begin or end with white space, or look empty.
"""

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
    '{"city":"New York","unit":"celsius"}',
    '{"a":null,"b":false,"c":0,"d":"","e":[]}',
    '{"x":0.12345678901234567,"y":[1e-7,-2.5E+3]}',
    '{"a b":1,"$c.é":{"":2}}',
    '{"text":"\\ta\\n\\\\n\\tb\\n"}',
    '{"html":"<b>&amp;</b>","url":"/?a=%20b"}',
    '{"haha":[[1100]],"a":{"a":{}}}',
    '{"a":' + "[" * 30 + "]" * 30 + "}",
)

_MORE = ("", *TEXTS)
NAMES = ("f", "get_weather", "add-2", "getWeather", "mcp__files__read_text_file_of_a_project_at_a_given_line_and_colu")
"""Up to 64 letters, digits, `_` and `-`, as OpenAI allows."""

IDS = (
    ("call_0", "call_1", "call_2"),
    ("call_9", "call_10", "call_1"),  # not ascending, neither as texts nor by number
    ("functions.f:0", "functions.f:1", "functions.f:2"),
    ("chatcmpl-tool-e1c7", "chatcmpl-tool-04aa", "chatcmpl-tool-9b30"),
    ("12", "7", "31"),
    ("f2d81e0c-7a4b-4c1e-9d53-0b6f6a2e8c11", "03b7c2aa-51de-4f0e-8a94-6f1d2c9e7b05", "toolu_01A"),
)
"""Ids for the calls of one answer, in the forms that providers use."""

USAGES = (
    Usage(3, 5),
    Usage(12, 1),
    Usage(100, 50, cached=10, reasoning=7),
    Usage(2**33, 2**31),
    Usage(7, 0),
    Usage(2100, 40, cached=2048),
    Usage(40_000, 70_000, reasoning=69_000),
)

_KINDS = ("text", "calls", "text", "text and calls", "reasoning", "any text", "calls", "refusal", "choices", "length")
_CHOICES = ("text", "length", "reasoning")
_FINISHES = ("tool_calls", "tool_calls", "tool_calls", "stop")
"""OpenAI itself sends `stop` if the request forces a function."""
_SELDOM = (False, False, False, False, True)
_CHARACTERS = (
    range(ord("a"), ord("z") + 1),
    range(0x20, 0x7F),
    range(0x20),
    range(0x7F, 0x100),
    range(0x100, 0xD800),
    range(0xE000, 0x10000),
    range(0x10000, 0x110000),
)
"""All characters except lone surrogates, the plainest first."""


_ENVELOPE = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "fakellm", "system_fingerprint": None}


def reply(completion: Completion) -> Reply:
    """The reply that contains exactly this completion."""
    return reply_of(completion, _ENVELOPE)


def answer(picks: Picks, ordered: bool = False, own: Sequence[Completion] = ()) -> Completion:
    """A complete answer that every client must be able to read: it has content, a finish reason that fits, and usage.

    Nine in ten have one choice. The plainest is the text "a". `ordered`: whether text may follow a call. own: answers
    with what only one API has, which are drawn now and then.
    """
    kind = picks.choice((*_KINDS, *(("blocks", "blocks") if ordered else ()), *(("own",) if own else ())))
    if kind == "own":
        return picks.choice(own)
    kinds = [picks.choice(_CHOICES), picks.choice(_CHOICES)] if kind == "choices" else [kind]
    choices = tuple(_choice(picks, each) for each in kinds)
    return Completion(choices, picks.choice(USAGES))


def _choice(picks: Picks, kind: str) -> Choice:
    match kind:
        case "refusal":
            return chat_choice(refusal=_text(picks), finish_reason="stop")
        case "reasoning":
            return chat_choice(_text(picks), reasoning=_text(picks), finish_reason="stop")
        case "calls":
            return chat_choice(tool_calls=_calls(picks), finish_reason=picks.choice(_FINISHES))
        case "text and calls":
            called = _choice(picks, "calls")
            return replace(called, blocks=(Text(_text(picks)), *called.blocks))
        case "blocks":
            calls = [ToolCall(f"call_{number}", picks.choice(NAMES), picks.choice(ARGUMENTS)) for number in range(2)]
            texts = [Text(_text(picks)) for _ in range(2)]
            return Choice((Thinking((_text(picks),)), texts[0], calls[0], texts[1], calls[1]), Stop("tool_calls"))
        case "any text":
            characters = [picks.choice(picks.choice(_CHARACTERS)) for _ in range(1 + picks.below(6))]
            return chat_choice("".join(map(chr, characters)), finish_reason="stop")
    return chat_choice(_text(picks), finish_reason="length" if kind == "length" else "stop")


def _text(picks: Picks) -> str:
    return picks.choice(TEXTS) + picks.choice(_MORE)


def _calls(picks: Picks) -> tuple[ToolCall, ...]:
    """One to three calls; rarely the same one twice, as models do make the same call twice."""
    many = 1 + picks.below(3)
    ids = picks.choice(IDS)
    calls = [ToolCall(ids[number], picks.choice(NAMES), picks.choice(ARGUMENTS)) for number in range(many)]
    if many > 1 and picks.choice(_SELDOM):
        calls[1] = ToolCall(ids[1], calls[0].name, calls[0].arguments)
    return tuple(calls)
