"""Answers with difficult content: every text and every argument of the draws, and long streams.

A text is tried as a piece of its own, cut after each character and, if that is what breaks clients, as the whole
content. Owns these answers; knows neither profiles nor dialects.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, cycle, islice, product
from string import ascii_lowercase

from fakellm.apis.chat.meaning import chat_choice
from fakellm.apis.variation import Variation
from fakellm.fuzzing.draws.answers import ARGUMENTS, IDS, NAMES, TEXTS, USAGES
from fakellm.model.blocks import Choice, Completion, ToolCall, Usage
from fakellm.wire.framing import Framing, Insert
from fakellm.wire.http.transfer import Transfer


def answer(*choices: Choice, usage: Usage = USAGES[0]) -> Completion:
    """A complete answer with these choices."""
    return Completion(choices, usage)


Payload = tuple[Completion, Variation]
"""An answer, and the variation in which it is most likely to break a client."""

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
"""Texts that a client may misinterpret or trim if they are the whole content."""


def payloads() -> Iterator[Payload]:
    """All texts and arguments of the draws, several per answer."""
    for start in range(0, len(TEXTS), 18):
        texts = TEXTS[start : start + 18]
        joined = answer(chat_choice("".join(texts), finish_reason="stop"))
        yield joined, Variation(split={"content": tuple(accumulate(map(len, texts[:-1])))})  # each text is a piece
        yield joined, Variation(split={"content": "characters"})
    calls_of = [ARGUMENTS[start : start + 3] for start in range(0, len(ARGUMENTS), 3)]
    calls_of.append(("{}", '{"a":1}', '{"a":1}'))  # the same call twice, which is two calls
    finishes = cycle(("tool_calls", "stop"))  # OpenAI itself sends `stop` if the request forces a function
    parts = zip(cycle(_ALONE), calls_of, cycle(NAMES), cycle(IDS), cycle(USAGES[1:]), finishes, strict=False)
    for text, arguments, name, ids, usage, finish in parts:
        calls = tuple(ToolCall(call_id, name, each) for call_id, each in zip(ids, arguments, strict=False))
        yield answer(chat_choice(text, tool_calls=calls, finish_reason=finish), usage=usage), Variation()


def sizes() -> Iterator[Payload]:
    """Streams as long as real ones get. A fast client reads each in less than a tenth of a second.

    Each long text is a single word without repetitions, so that it stays in one chunk when a failure is shrunk.
    """
    word = "".join(map("".join, islice(product(ascii_lowercase, repeat=4), 18_000)))
    texts = (word, word[:1200], "Hm, well", "ha ha ha ha ")
    line, text, simple, repeated = (answer(chat_choice(each, finish_reason="stop"), usage=USAGES[2]) for each in texts)
    call = ToolCall("call_0", "write_file", f'{{"text":"{word[:10_000]}"}}')
    yield line, Variation(split={"content": "whole"}, transfer=Transfer(gzip=True))  # one line of 72 kB
    yield answer(chat_choice(tool_calls=(call,), finish_reason="tool_calls")), Variation(split={"arguments": 64})
    # A client that overlooks a header may still read on where each chunk is an event.
    yield text, Variation(split={"content": "characters"}, transfer=Transfer(header_case="lower", head="bare", cut=64))
    yield simple, Variation(padding=600, role="alone")  # as xAI sends while the model reasons: no chunk says anything
    waiting = Insert(before=(1,) * 42, comment="OPENROUTER PROCESSING")
    yield (
        simple,
        Variation(sse=Framing(insert=(waiting,), line_end="cr"), done=False),
    )  # a client that waits for an LF waits for ever, or misses the last event
    framing = Framing(line_end="crlf", multiline=True)
    cut = Transfer(cut="inside_line_ends", separate_reads=3)
    yield repeated, Variation(split={"content": "words"}, sse=framing, transfer=cut)  # a piece that the text ends with
