"""Answers that hurt by what they say or by how much: every text and every argument of the draws, and long streams.

A text is tried as a piece of its own, cut after each character and, where that is what hurts, as all that is said.
Owns these answers; knows neither profiles nor dialects.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, cycle, islice, product
from string import ascii_lowercase

from fakellm.apis.chat.variation import Variation
from fakellm.fuzzing.draws.answers import ARGUMENTS, IDS, NAMES, TEXTS, USAGES
from fakellm.model.completion import Choice, Completion, ToolCall, Usage
from fakellm.wire.framing import Framing, Insert
from fakellm.wire.transfer import Transfer


def answer(*choices: Choice, usage: Usage = USAGES[0]) -> Completion:
    """A whole answer of these choices."""
    return Completion("chatcmpl-1", 1_700_000_000, "fakellm", choices, usage)


Said = tuple[Completion, Variation]

_ALONE = (
    "null",
    "0",
    "false",
    "[]",
    '{"a":1, "b": [ true ]}',
    "\n\n a\n",
    "\ta b\u00a0",
    "```json\n{}\n```",
    "&lt;b&gt; &amp;amp;",
    "haha",
)
"""What a client may take for something else, or trim, where it is the whole text."""


def payloads() -> Iterator[Said]:
    """All the texts and arguments that hurt, several in one answer."""
    for start in range(0, len(TEXTS), 15):
        texts = TEXTS[start : start + 15]
        said = answer(Choice("".join(texts), finish_reason="stop"))
        yield said, Variation(split={"content": tuple(accumulate(map(len, texts[:-1])))})  # each text is a piece
        yield said, Variation(split={"content": "characters"})
    asked = [ARGUMENTS[start : start + 3] for start in range(0, len(ARGUMENTS), 3)]
    asked.append(("{}", '{"a":1}', '{"a":1}'))  # the same call twice, which makes two
    finishes = cycle(("tool_calls", "stop"))  # OpenAI itself says `stop` where a function is forced
    parts = zip(cycle(_ALONE), asked, cycle(NAMES), cycle(IDS), cycle(USAGES[1:]), finishes, strict=False)
    for text, arguments, name, ids, usage, finish in parts:
        calls = tuple(ToolCall(known, name, each) for known, each in zip(ids, arguments, strict=False))
        yield answer(Choice(text, tool_calls=calls, finish_reason=finish), usage=usage), Variation()


def sizes() -> Iterator[Said]:
    """Streams as long as real ones get. Each takes a client that reads well less than a tenth of a second.

    What is long is a single word, all of which is different: so it stays one piece when a failure is made smaller.
    """
    word = "".join(map("".join, islice(product(ascii_lowercase, repeat=4), 18_000)))
    texts = (word, word[:1200], "Hm, well")
    line, text, simple = (answer(Choice(each, finish_reason="stop"), usage=USAGES[2]) for each in texts)
    call = ToolCall("call_0", "write_file", f'{{"text":"{word[:10_000]}"}}')
    yield line, Variation(split={"content": "whole"})  # one line of 72 kB
    yield answer(Choice(tool_calls=(call,), finish_reason="tool_calls")), Variation(split={"arguments": 64})
    yield text, Variation(split={"content": "characters"})
    yield simple, Variation(padding=600)  # as xAI while it reasons
    waiting = Insert(before=(1,) * 42, comment="OPENROUTER PROCESSING")
    yield simple, Variation(sse=Framing(insert=(waiting,), line_end="cr"))  # who waits for an LF waits for ever
    framing = Framing(line_end="crlf", multiline=True)
    yield simple, Variation(sse=framing, transfer=Transfer(cut="inside_line_ends"))
