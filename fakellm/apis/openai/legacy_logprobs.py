"""The `logprobs` of the legacy completions: numbers for each token, from the seed, the same in a body and in a stream.

https://platform.openai.com/docs/api-reference/completions/object
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from itertools import accumulate

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice, text_or_empty
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.openai.inputs import tokens_of
from fakellm.base import tokenizer
from fakellm.base.json_text import JSON
from fakellm.base.seed import Source

_OTHERS = (" the", " a", " is", " to", " and", " of")

_Token = tuple[int, str]
"""Where a token starts, in characters from the start of its choice's text, and the token."""


class TokenProbs(Struct, frozen=True):
    """The log probabilities that a request sets.

    top: how many likely tokens for each position.
    echoed: the prompts that the texts start with, if they do; each prompt has the same number of choices.
    seed, digest: the reply's seed and its request's digest; all numbers are drawn from them.
    """

    top: int
    echoed: tuple[str | tuple[int, ...], ...]
    seed: int
    digest: str

    def on(self, dialect: Dialect) -> Dialect:
        """The dialect, with these numbers in every choice."""
        return replace(dialect, decorate=self._decorate, decorate_body=self._decorate_body, alike="none")

    def _decorate(self, chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
        offsets: dict[int, int] = defaultdict(int)
        choices = 1 + max((part.index for chunk in chunks for part in chunk.choices), default=0)
        prompts = [self._prompt(index, choices) for index in range(choices)]

        def with_logprobs(part: ChunkChoice) -> ChunkChoice:
            text, offset = text_or_empty(part.delta.content), offsets[part.index]
            offsets[part.index] += len(text)
            tokens = _tokens(prompts[part.index], text, offset)
            if not tokens:
                return part
            return replace(part, extra=part.extra | {"logprobs": self._arrays(part.index, tokens)})

        return tuple(replace(chunk, choices=tuple(map(with_logprobs, chunk.choices))) for chunk in chunks)

    def _decorate_body(self, body: JSON, source: Source) -> JSON:
        for choice in body["choices"]:
            prompt = self._prompt(choice["index"], len(body["choices"]))
            choice["logprobs"] = self._arrays(choice["index"], _tokens(prompt, choice["text"], 0))
        return body

    def _prompt(self, index: int, choices: int) -> list[_Token]:
        """The tokens of the prompt that this choice's text starts with, if it was sent as token ids.

        A prompt that was sent as text is split together with what follows it.
        """
        if not self.echoed:
            return []
        prompt = self.echoed[index * len(self.echoed) // choices]
        return [] if isinstance(prompt, str) else _placed(tokens_of(prompt), 0)

    def _arrays(self, index: int, tokens: list[_Token]) -> JSON:
        """The four arrays of a choice's tokens."""
        likely = [self._likely(index, token, offset) for offset, token in tokens]
        # nothing precedes the first token of an echoed prompt, so it has no probability
        known = [offset > 0 or not self.echoed for offset, _ in tokens]
        return {
            "tokens": [token for _, token in tokens],
            "token_logprobs": [
                each[token] if is_known else None
                for (_, token), each, is_known in zip(tokens, likely, known, strict=True)
            ],
            "top_logprobs": [
                dict(list(each.items())[: self.top]) if is_known else None
                for each, is_known in zip(likely, known, strict=True)
            ],
            "text_offset": [offset for offset, _ in tokens],
        }

    def _likely(self, index: int, token: str, offset: int) -> dict[str, float]:
        """The token, and alternatives to it, each less likely than the one before."""
        source = Source(self.seed, self.digest, "logprobs", index, offset)
        names = dict.fromkeys((token, *_OTHERS))
        sums = accumulate(1 + number % 2000 for number in source.numbers(len(names)))
        return {name: -number / 1000 for name, number in zip(names, sums, strict=True)}


def _tokens(prompt: list[_Token], text: str, offset: int) -> list[_Token]:
    """The tokens that start in the piece `text` of a choice's text, which starts with the tokens of `prompt`."""
    first = bisect_left(prompt, (offset, ""))
    last = bisect_left(prompt, (offset + len(text), ""))
    end = prompt[-1][0] + len(prompt[-1][1]) if prompt else 0
    rest = max(end - offset, 0)
    return prompt[first:last] + _placed(tokenizer.split(text[rest:]), offset + rest)


def _placed(tokens: list[str], offset: int) -> list[_Token]:
    """The tokens with their offsets, the first at `offset`."""
    return list(zip(accumulate(map(len, tokens), initial=offset), tokens, strict=False))
