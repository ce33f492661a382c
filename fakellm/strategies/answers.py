"""Draws of answers as a sound provider gives them, biased towards the texts and arguments that have hurt clients."""

from __future__ import annotations

from hypothesis import strategies as st

from fakellm.completion import Choice, Completion, ToolCall, Usage

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

_PIECES = st.sampled_from(TEXTS)
_MORE = st.sampled_from(("", *TEXTS))
_ANY = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
_ARGUMENTS = st.sampled_from(ARGUMENTS)
_NAMES = st.sampled_from(("f", "get_weather", "add-2"))
_USAGES = st.sampled_from((Usage(3, 5), Usage(12, 1), Usage(100, 50, cached=10, reasoning=7), Usage(2**33, 2**31)))
_KINDS = st.sampled_from(
    ("text", "calls", "text", "text and calls", "reasoning", "any text", "calls", "refusal", "choices")
)


@st.composite
def answers(draw: st.DrawFn) -> Completion:
    """Whole answers that every client must read: something is said, the finish reason fits it, and usage is given.

    Eight in nine have one choice; `completions` draws what no provider sends too. Shrinks to the text "a".
    """
    return draw_answer(draw)


def draw_answer(draw: st.DrawFn) -> Completion:
    """As `answers`, within another draw."""
    kind = draw(_KINDS)
    choices = tuple(_choice(draw, kind) for _ in range(2 if kind == "choices" else 1))
    return Completion("chatcmpl-1", 1_700_000_000, "fakellm", choices, draw(_USAGES))


def _choice(draw: st.DrawFn, kind: str) -> Choice:
    match kind:
        case "refusal":
            return Choice(refusal=_text(draw), finish_reason="stop")
        case "reasoning":
            return Choice(_text(draw), reasoning=_text(draw), finish_reason="stop")
        case "calls":
            return Choice(tool_calls=_calls(draw), finish_reason="tool_calls")
        case "text and calls":
            return Choice(_text(draw), tool_calls=_calls(draw), finish_reason="tool_calls")
        case "any text":
            return Choice(draw(_ANY), finish_reason="stop")
    return Choice(_text(draw), finish_reason=draw(st.sampled_from(("stop", "length"))))


def _text(draw: st.DrawFn) -> str:
    return draw(_PIECES) + draw(_MORE)


def _calls(draw: st.DrawFn) -> tuple[ToolCall, ...]:
    many = draw(st.integers(1, 3))
    return tuple(ToolCall(f"call_{number}", draw(_NAMES), draw(_ARGUMENTS)) for number in range(many))
