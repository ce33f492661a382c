"""Reasoning that is said aloud: as the start of the content, between tags. Knows no JSON and no division."""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.model.completion import Choice, Completion, Token


def aloud(completion: Completion) -> Completion:
    """The completion with its reasoning in the content: ``<think>…</think>``, a blank line, and what was said besides.

    So the open models were trained, and so servers pass it on that do not look for it. Nothing undoes this: a text may
    start with the tag, and mean it. Where the content has the weights of its tokens, the thought is one certain token.
    """
    return replace(completion, choices=tuple(map(_aloud, completion.choices)))


def _aloud(choice: Choice) -> Choice:
    if not choice.reasoning:
        return choice
    thought = f"<think>{choice.reasoning}</think>\n\n"
    tokens = (Token(thought, 0.0), *choice.logprobs) if choice.logprobs else ()
    return replace(choice, reasoning="", content=thought + choice.content, logprobs=tokens)
