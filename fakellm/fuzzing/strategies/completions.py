"""Draws of what a model says: texts that hurt, and completions of them."""

from __future__ import annotations

from hypothesis import strategies as st

from fakellm.base import tokenizer
from fakellm.model.completion import Choice, Completion, Token, ToolCall, Usage

# Texts that real clients have stumbled over: they look like the framing, or are cut where they must not be.
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
    """Texts of any characters but lone surrogates, with pieces in them that clients stumble over."""
    return st.lists(st.text(max_size=8) | st.sampled_from(_AWKWARD), max_size=4).map("".join)


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    """Completions of one to three choices: any text, reasoning, refusal, parallel tool calls, with or without usage
    and the probabilities of tokens."""
    return Completion(
        id=draw(st.text(min_size=1, max_size=8)),
        created=draw(st.integers(1, 2**33)),
        model=draw(st.text(min_size=1, max_size=8)),
        choices=tuple(draw(st.lists(_choices(), min_size=1, max_size=3))),
        usage=draw(st.none() | _usages()),
        system_fingerprint=draw(st.none() | st.text(min_size=1, max_size=8)),
    )


@st.composite
def _choices(draw: st.DrawFn) -> Choice:
    content, refusal = draw(texts()), draw(texts())
    return Choice(
        content=content,
        reasoning=draw(texts()),
        refusal=refusal,
        tool_calls=tuple(draw(st.lists(_calls(), max_size=3))),
        finish_reason=draw(st.sampled_from(("stop", "tool_calls", "length", "content_filter", None))),
        logprobs=draw(st.just(()) | _weighed(content)),
        refusal_logprobs=draw(st.just(()) | _weighed(refusal)),
    )


def _weighed(text: str) -> st.SearchStrategy[tuple[Token, ...]]:
    """The tokens of a text, each with others or none in its place; half a character among them has its own bytes."""
    logprobs = st.floats(-9999.0, 0.0)
    others = st.lists(st.builds(Token, st.text(max_size=3), logprobs), max_size=2).map(tuple)
    odd = st.sampled_from(((), (), None, (0xE4, 0xB8)))
    return st.tuples(*(st.builds(Token, st.just(each), logprobs, others, odd) for each in tokenizer.split(text)))


def _calls() -> st.SearchStrategy[ToolCall]:
    arguments = st.sampled_from(("{}", '{"a":2,"b":3}', "")) | texts()
    return st.builds(ToolCall, st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8), arguments)


def _usages() -> st.SearchStrategy[Usage]:
    counts = st.integers(0, 2**40)
    return st.builds(Usage, prompt=counts, completion=counts, cached=counts, reasoning=counts)
