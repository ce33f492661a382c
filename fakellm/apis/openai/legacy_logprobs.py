"""The `logprobs` of the legacy completions: numbers for each token, from the seed, whole or chunk by chunk alike.

https://platform.openai.com/docs/api-reference/completions/object
"""

from __future__ import annotations

from collections import defaultdict
from itertools import accumulate

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice, words
from fakellm.apis.chat.dialect import Dialect
from fakellm.base import tokenizer
from fakellm.base.json_text import JSON
from fakellm.base.seed import Source

_OTHERS = (" the", " a", " is", " to", " and", " of")


class TokenProbs(Struct, frozen=True):
    """What is asked for: how many likely tokens at each place, for the request of this digest.

    `echo`: the first token is the prompt's; nothing came before it, so nothing made it likely.
    """

    top: int
    echo: bool
    seed: int
    digest: str

    def on(self, dialect: Dialect) -> Dialect:
        """The dialect, with these numbers in every choice."""
        return replace(dialect, decorate=self._decorate, decorate_body=self._decorate_body)

    def _decorate(self, chunks: tuple[Chunk, ...], source: Source) -> tuple[Chunk, ...]:
        offsets: dict[int, int] = defaultdict(int)

        def added(part: ChunkChoice) -> ChunkChoice:
            text, offset = words(part.delta.content), offsets[part.index]
            offsets[part.index] += len(text)
            return replace(part, extra=part.extra | {"logprobs": self._all(part.index, text, offset)}) if text else part

        return tuple(replace(chunk, choices=tuple(map(added, chunk.choices))) for chunk in chunks)

    def _decorate_body(self, body: JSON, source: Source) -> JSON:
        for choice in body["choices"]:
            choice["logprobs"] = self._all(choice["index"], choice["text"], 0)
        return body

    def _all(self, index: int, text: str, offset: int) -> JSON:
        """The four arrays of a text that starts at `offset`; offsets are in characters."""
        said = tokenizer.split(text)
        offsets = list(accumulate(map(len, said), initial=offset))[:-1]
        likely = [self._likely(index, token, place) for token, place in zip(said, offsets, strict=True)]
        first = self.echo and offset == 0
        return {
            "tokens": said,
            "token_logprobs": [None if first and not n else each[said[n]] for n, each in enumerate(likely)],
            "top_logprobs": [
                None if first and not n else dict(list(each.items())[: self.top]) for n, each in enumerate(likely)
            ],
            "text_offset": offsets,
        }

    def _likely(self, index: int, token: str, offset: int) -> dict[str, float]:
        """The token said, and others in its place, each less likely than the one before."""
        source = Source(self.seed, self.digest, "logprobs", index, offset)
        names = dict.fromkeys((token, *_OTHERS))
        sums = accumulate(source.between(1, 2000) for _ in names)
        return {name: -number / 1000 for name, number in zip(names, sums, strict=True)}
