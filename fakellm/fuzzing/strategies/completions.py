"""Strategies for the output of a model: difficult texts, and completions made of them."""

from __future__ import annotations

from hypothesis import strategies as st

from fakellm.apis.chat.meaning import chat_choice
from fakellm.base import tokenizer
from fakellm.model.blocks import Choice, Completion, Token, ToolCall, Usage

# Texts that have broken real clients: they look like framing, or are cut where they must not be.
_AWKWARD = (
    "data: {}\n\n",
    "[DONE]",
    ": ping",
    "event: error",
    "\r\n",
    "\u2028",
    "\x85",
    "\ufeff",
    "👩\u200d🚀",
    "e\u0301",
    "<think>",
    "\\",
    '\\"',
    '{"a": 9007199254740993}',
)


def texts() -> st.SearchStrategy[str]:
    """Texts of any characters except lone surrogates, containing pieces that have broken clients."""
    return st.lists(st.text(max_size=8) | st.sampled_from(_AWKWARD), max_size=4).map("".join)


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    """Completions with one to three choices: any text, reasoning, refusal and parallel tool calls, with or without
    usage and log probabilities."""
    return Completion(tuple(draw(st.lists(_choices(), min_size=1, max_size=3))), draw(st.none() | _usages()))


@st.composite
def _choices(draw: st.DrawFn) -> Choice:
    content, refusal = draw(texts()), draw(texts())
    return chat_choice(
        content=content,
        reasoning=draw(texts()),
        refusal=refusal,
        tool_calls=tuple(draw(st.lists(_calls(), max_size=3))),
        finish_reason=draw(st.sampled_from(("stop", "tool_calls", "length", "content_filter", None))),
        logprobs=draw(st.just(()) | _tokens(content)),
        refusal_logprobs=draw(st.just(()) | _tokens(refusal)),
    )


def _tokens(text: str) -> st.SearchStrategy[tuple[Token, ...]]:
    """The tokens of a text, each with alternatives or none. A token that is half a character has bytes of its own."""
    logprobs = st.floats(-9999.0, 0.0)
    others = st.lists(st.builds(Token, st.text(max_size=3), logprobs), max_size=2).map(tuple)
    odd = st.sampled_from(((), (), None, (0xE4, 0xB8)))
    return st.tuples(*(st.builds(Token, st.just(each), logprobs, others, odd) for each in tokenizer.split(text)))


def _calls() -> st.SearchStrategy[ToolCall]:
    arguments = st.sampled_from(("{}", '{"a":2,"b":3}', "")) | texts()
    return st.builds(ToolCall, st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8), arguments)


def _usages() -> st.SearchStrategy[Usage]:
    counts = st.integers(0, 2**40)
    return st.builds(Usage, input=counts, output=counts, cached=counts, reasoning=counts)
