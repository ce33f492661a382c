"""How each field of a variation divides and spells a completion: tables, read as examples of what can be said."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec
import pytest

from fakellm.apis.chat.chunk import NULL, Chunk, Text, text_or_empty
from fakellm.apis.chat.habits import split
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.variation import PLAIN, Variation
from fakellm.apis.variation_blocks import Calls, Padding, Spelling
from fakellm.base.seed import Source
from fakellm.model.blocks import Completion, ToolCall, Usage
from fakellm.streaming.splitting import Cut, cut
from tests.chats import PLAIN_DIALECT, chat_choice, data_of, data_of_all, stream
from tests.chats import divide as divided


def divide(completion: Completion, variation: Variation) -> tuple[Chunk, ...]:
    return divided(completion, variation, Source(0))


def sent(completion: Completion, variation: Variation) -> list[dict[str, Any]]:
    """The chunks of a completion as JSON."""
    habits = split(variation, PLAIN_PROVIDER).habits
    return [json.loads(data) for data in data_of_all(divide(completion, variation), habits, Source(0))]


TOOLS = Completion(
    choices=(chat_choice(content="A b", tool_calls=(ToolCall("i", "f", "{}"), ToolCall("j", "g", "[1]"))),),
    usage=Usage(1, 2),
)


def said(chunks: tuple[Chunk, ...]) -> list[str]:
    """Chunks in short: who says what."""
    lines = []
    for chunk in chunks:
        for part in chunk.choices:
            delta = part.delta
            pieces = delta.tool_calls if isinstance(delta.tool_calls, tuple) else ()
            calls = [f"{piece.index}:{text_or_empty(piece.name)}{text_or_empty(piece.arguments)}" for piece in pieces]
            texts = [
                "role" if delta.role else "",
                text_or_empty(delta.content),
                text_or_empty(delta.reasoning),
                *calls,
                text_or_empty(part.finish_reason),
            ]
            lines.append(f"{part.index} " + " ".join(filter(None, texts)))
        lines += ["usage"] if chunk.usage else []
    return lines


@pytest.mark.parametrize(
    ("variation", "expected"),
    [
        (Variation(), ["0 role", "0 A b", "0 0:f{}", "0 1:g[1]", "usage"]),
        (Variation(padding=2), ["0 role", "0 ", "0 ", "0 A b", "0 0:f{}", "0 1:g[1]", "usage"]),
        (Variation(role="first"), ["0 role A b", "0 0:f{}", "0 1:g[1]", "usage"]),
        (Variation(role="call"), ["0 role", "0 A b", "0 0:f{}", "0 1:g[1]", "usage"]),
        (Variation(role="texts"), ["0 role A b", "0 0:f{}", "0 1:g[1]", "usage"]),
        (Variation(role="repeated"), ["0 role", "0 role A b", "0 role 0:f{}", "0 role 1:g[1]", "usage"]),
        (
            Variation(split="tokens"),
            ["0 role", "0 A", "0  b", "0 0:f", "0 0:{}", "0 1:g", "0 1:[", "0 1:1", "0 1:]", "usage"],
        ),
        (
            Variation(split={"content": 2}, calls=Calls(before=1)),
            ["0 role", "0 A ", "0 0:f{}", "0 1:g[1]", "0 b", "usage"],
        ),
        (Variation(calls=Calls(before=0)), ["0 role", "0 0:f{}", "0 1:g[1]", "0 A b", "usage"]),
        (
            Variation(split={"content": 2}, calls=Calls(before=0), turns=(("content", 1),)),
            ["0 role", "0 A ", "0 b", "0 0:f{}", "0 1:g[1]", "usage"],
        ),
        (Variation(split={"content": 2}), ["0 role", "0 A ", "0 b", "0 0:f{}", "0 1:g[1]", "usage"]),
        (
            Variation(split={"tool_calls[1].arguments": (1,)}),
            ["0 role", "0 A b", "0 0:f{}", "0 1:g", "0 1:[", "0 1:1]", "usage"],
        ),
        (
            Variation(split={"arguments": "characters", "tool_calls[0].arguments": "whole"}, interleave="calls"),
            ["0 role", "0 A b", "0 0:f{}", "0 1:g", "0 1:[", "0 1:1", "0 1:]", "usage"],
        ),
        (
            Variation(split={"arguments": 1}, interleave="both"),
            ["0 role", "0 A b", "0 0:f", "0 1:g", "0 0:{", "0 1:[", "0 0:}", "0 1:1", "0 1:]", "usage"],
        ),
    ],
)
def test_how_a_completion_is_divided(variation: Variation, expected: list[str]) -> None:
    assert said(divide(TOOLS, variation)) == expected


ONE_CALL = msgspec.structs.replace(TOOLS, choices=(chat_choice(tool_calls=(ToolCall("i", "f"),)),))
TWO_CALLS = msgspec.structs.replace(TOOLS, choices=(chat_choice(tool_calls=(ToolCall("i", "f"), ToolCall("j", "g"))),))


@pytest.mark.parametrize(
    ("completion", "first", "content"),
    [(ONE_CALL, "0 role 0:f{}", NULL), (TWO_CALLS, "0 role", NULL), (TOOLS, "0 role", "")],
)
def test_the_role_joins_one_call_and_the_opening_shows_what_follows(
    completion: Completion, first: str, content: Text
) -> None:
    """As OpenAI and Azure send: of parallel calls the role comes alone, with no content to come."""
    chunks = divide(completion, Variation(role="call", fill={"opening": {"content": "text"}}))
    assert said(chunks)[0] == first
    assert chunks[0].choices[0].delta.content == content


def test_choices_take_turns() -> None:
    two = msgspec.structs.replace(
        TOOLS, choices=(chat_choice(content="AB", finish_reason="stop"), chat_choice(content="x", finish_reason="stop"))
    )
    apart = said(divide(two, Variation(split=1)))
    assert apart == ["0 role", "0 A", "0 B", "0 stop", "1 role", "1 x", "1 stop", "usage"]
    turns = said(divide(two, Variation(split=1, interleave="choices")))
    assert turns == ["0 role", "1 role", "0 A", "1 x", "0 B", "1 stop", "0 stop", "usage"]


def test_created_advances_before_the_chunks_in_ticks() -> None:
    assert [frame["created"] for frame in sent(TOOLS, Variation(ticks=(1, 3, 3)))] == [1, 2, 2, 4, 4]


@pytest.mark.parametrize(
    ("text", "how", "expected"),
    [
        ("one two  three", "words", ["one", " two", "  three"]),
        ("a🌍b", "characters", ["a", "🌍", "b"]),
        ("a🌍b🚀", "surrogates", ["a\ud83c", "\udf0db\ud83d", "\ude80"]),
        ("abcdef", 4, ["abcd", "ef"]),
        ("abcdef", (5, 2, 99), ["ab", "cde", "f"]),
        ("abcdef", (0, 2, 2, 6), ["", "ab", "", "cdef", ""]),
        ("abcdefghijklmnopqrst", "random", ["abcd", "efg", "hi", "j", "klmn", "opq", "rs", "t"]),
        ("", "whole", []),
    ],
)
def test_where_a_text_is_cut(text: str, how: Cut, expected: list[str]) -> None:
    assert cut(text, how, Source(0)) == expected


def test_random_pieces_have_one_to_eight_characters_also_in_a_long_text() -> None:
    text = "abcdefghij" * 1000
    pieces = cut(text, "random", Source(0))
    assert "".join(pieces) == text
    counts = Counter(map(len, pieces))
    assert set(counts) == set(range(1, 9))
    assert max(counts.values()) < 1.3 * min(counts.values())


DELTA_KEYS = ("role", "content", "reasoning_content", "refusal", "tool_calls")
PLAIN_PROVIDER = msgspec.structs.replace(PLAIN_DIALECT, delta_keys=DELTA_KEYS)
ONE = Completion((chat_choice(content="A b", finish_reason="stop"),), Usage(3, 2))
CALL = Completion((chat_choice(tool_calls=(ToolCall("i", "f", "{}"),), finish_reason="tool_calls"),))
BOTH = Completion((chat_choice(content="A", tool_calls=(ToolCall("i", "f"), ToolCall("j", "g"))),))


def wire(completion: Completion, variation: Variation) -> list[str]:
    """The choices of each chunk as compact JSON, or its usage, in the spelling of a plain provider."""
    lines = []
    for chunk in divide(completion, variation):
        frame = json.loads(data_of(chunk, split(variation, PLAIN_PROVIDER).habits))
        counted = f" usage={frame['usage'] and frame['usage']['completion_tokens']}" if "usage" in frame else ""
        shown: list[dict[str, object]] = [
            {key: choice[key] for key in choice if key != "index"} for choice in frame["choices"]
        ]
        lines.append(" + ".join(json.dumps(choice, separators=(",", ":")) for choice in shown) + counted)
    return lines


def deltas(completion: Completion, variation: Variation) -> list[str]:
    """The deltas alone, of a completion with one choice."""
    return [
        json.dumps(json.loads(line)["delta"], separators=(",", ":"))
        for line in wire(completion, variation)
        if "usage" not in line
    ]


@pytest.mark.parametrize(
    ("variation", "expected"),
    [
        (Variation(role="every"), ['{"role":"assistant","content":"A b"}', '{"role":"assistant"}']),
        (Variation(role="never"), ['{"content":"A b"}', "{}"]),
        (Variation(role="first", padding=1), ['{"role":"assistant"}', "{}", '{"content":"A b"}', "{}"]),
        (
            Variation(padding=(Padding(2, "delta", {"content": ""}),), split="tokens"),
            ['{"role":"assistant"}', '{"content":"A"}', '{"content":""}', '{"content":""}', '{"content":" b"}', "{}"],
        ),
        (
            Variation(padding=(Padding(1, "finish", {"content": None}), Padding(1, (0,), {"reasoning": ""}))),
            ['{"reasoning":""}', '{"role":"assistant"}', '{"content":"A b"}', '{"content":null}', "{}"],
        ),
        (
            Variation(fill={"opening": {"content": "empty", "refusal": "null"}, "finish": {"content": "empty"}}),
            ['{"role":"assistant","content":"","refusal":null}', '{"content":"A b"}', '{"content":""}'],
        ),
        (
            Variation(fill={"delta": {"reasoning": "null", "tool_calls": "null"}}),
            [
                '{"role":"assistant","reasoning_content":null,"tool_calls":null}',
                '{"content":"A b","reasoning_content":null,"tool_calls":null}',
                '{"reasoning_content":null,"tool_calls":null}',
            ],
        ),
        (
            Variation(fill={"delta": {"tool_calls": "empty"}}, role="never"),
            ['{"content":"A b","tool_calls":[]}', '{"tool_calls":[]}'],
        ),
    ],
)
def test_the_deltas_of_a_text(variation: Variation, expected: list[str]) -> None:
    assert deltas(ONE, variation) == expected


@pytest.mark.parametrize(
    ("variation", "expected"),
    [
        (
            Variation(finish="last"),
            ['{"delta":{"role":"assistant"}}', '{"delta":{"content":"A b"},"finish_reason":"stop"}', " usage=2"],
        ),
        (
            Variation(finish="twice", role="first"),
            [
                '{"delta":{"role":"assistant","content":"A b"}}',
                *['{"delta":{},"finish_reason":"stop"}'] * 2,
                " usage=2",
            ],
        ),
        (
            Variation(finish="early", split=1, role="first"),
            [
                '{"delta":{"role":"assistant","content":"A"}}',
                '{"delta":{"content":" "}}',
                '{"delta":{},"finish_reason":"stop"}',
                '{"delta":{"content":"b"}}',
                " usage=2",
            ],
        ),
        (
            Variation(unfinished="empty", role="first"),
            [
                '{"delta":{"role":"assistant","content":"A b"},"finish_reason":""}',
                '{"delta":{},"finish_reason":"stop"}',
                " usage=2",
            ],
        ),
        (
            Variation(unfinished="null", role="first", usage="after"),
            [
                '{"delta":{"role":"assistant","content":"A b"},"finish_reason":null}',
                '{"delta":{},"finish_reason":"stop"}',
                '{"delta":{},"finish_reason":null} usage=2',
            ],
        ),
        (
            Variation(usage="finish", role="first"),
            ['{"delta":{"role":"assistant","content":"A b"}}', '{"delta":{},"finish_reason":"stop"} usage=2'],
        ),
        (
            Variation(usage="both", role="first"),
            [
                '{"delta":{"role":"assistant","content":"A b"}}',
                '{"delta":{},"finish_reason":"stop"} usage=2',
                " usage=2",
            ],
        ),
        (
            Variation(usage="every", role="first"),
            ['{"delta":{"role":"assistant","content":"A b"}} usage=2', '{"delta":{},"finish_reason":"stop"} usage=2'],
        ),
        (
            Variation(usage="running", split="tokens"),
            [
                '{"delta":{"role":"assistant"}} usage=0',
                '{"delta":{"content":"A"}} usage=1',
                '{"delta":{"content":" b"}} usage=2',
                '{"delta":{},"finish_reason":"stop"} usage=2',
            ],
        ),
        (
            Variation(usage="running", split="tokens", role="first"),
            [
                '{"delta":{"role":"assistant","content":"A"}} usage=1',
                '{"delta":{"content":" b"}} usage=2',
                '{"delta":{},"finish_reason":"stop"} usage=2',
            ],
        ),
        (
            Variation(usage="none", role="first"),
            ['{"delta":{"role":"assistant","content":"A b"}}', '{"delta":{},"finish_reason":"stop"}'],
        ),
        (
            Variation(padding=(Padding(1, "content", choices=False),)),
            [
                '{"delta":{"role":"assistant"}}',
                "",
                '{"delta":{"content":"A b"}}',
                '{"delta":{},"finish_reason":"stop"}',
                " usage=2",
            ],
        ),
    ],
)
def test_where_finish_and_usage_are(variation: Variation, expected: list[str]) -> None:
    assert wire(ONE, variation) == expected


def test_usage_is_null_before_the_end_if_the_provider_sends_it_so() -> None:
    assert wire(ONE, Variation(usage_before="null", role="first")) == [
        '{"delta":{"role":"assistant","content":"A b"}} usage=None',
        '{"delta":{},"finish_reason":"stop"} usage=None',
        " usage=2",
    ]


def test_a_finish_with_the_call_stands_alone_after_a_text() -> None:
    with_call = Variation(finish="call", role="texts")
    assert wire(ONE, with_call)[1] == '{"delta":{"role":"assistant"},"finish_reason":"stop"}'
    (only,) = divide(CALL, with_call)
    assert (only.choices[0].delta.role, only.choices[0].finish_reason) == (None, "tool_calls")


@pytest.mark.parametrize(
    ("variation", "expected"),
    [
        (Variation(), ["0={} F", "1=[1] F", " F"]),
        (Variation(split={"arguments": 2}), ["0=", "0={} F", "1=", "1=[1", "1=] F", " F"]),
        (Variation(split={"arguments": 2}, interleave="calls"), ["0=", "1=", "0={} F", "1=[1", "1=] F", " F"]),
        (Variation(together=("calls",)), ["0={},1=[1] F", " F"]),
        (Variation(finish="alone"), ["0={}", "1=[1]", " F"]),
    ],
)
def test_a_finish_with_each_call_is_with_the_last_of_it_and_then_alone(
    variation: Variation, expected: list[str]
) -> None:
    calls = (ToolCall("i", "f", "{}"), ToolCall("j", "g", "[1]"))
    said = Completion((chat_choice(tool_calls=calls, finish_reason="tool_calls"),))
    first, *others = divide(said, variation.over(Variation(finish="calls")))
    assert first.choices[0].finish_reason is None
    found = []
    for (choice,) in (chunk.choices for chunk in others):
        pieces = choice.delta.tool_calls if isinstance(choice.delta.tool_calls, tuple) else ()
        shown = ",".join(f"{call.index}={call.arguments}" for call in pieces)
        found.append(shown + " F" * (choice.finish_reason == "tool_calls"))
    assert found == expected


def opening(rest: str) -> str:
    return f'{{"role":"assistant","tool_calls":[{{"id":"i","function":{rest},"index":0,"type":"function"}}]}}'


def piece(rest: str) -> str:
    return f'{{"tool_calls":[{{{rest}}}]}}'


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        (
            Calls(),
            [
                opening('{"name":"f","arguments":""}'),
                piece('"function":{"arguments":"{"},"index":0'),
                piece('"function":{"arguments":"}"},"index":0'),
            ],
        ),
        (Calls(arguments="null"), [opening('{"name":"f","arguments":null}')]),
        (Calls(arguments="absent"), [opening('{"name":"f"}')]),
        (
            Calls(opening="piece"),
            [opening('{"name":"f","arguments":"{"}'), piece('"function":{"arguments":"}"},"index":0')],
        ),
        (
            Calls(opening="pair"),
            [
                '{"role":"assistant","tool_calls":[{"id":"i","function":{"name":"f","arguments":""},"index":0,"type":"function"},{"function":{"arguments":"{"},"index":0}]}'
            ],
        ),
        (
            Calls(id="repeated"),
            [opening('{"name":"f","arguments":""}'), piece('"id":"i","function":{"arguments":"{"},"index":0')],
        ),
        (
            Calls(id="null", type="null", name="null"),
            [
                opening('{"name":"f","arguments":""}'),
                piece('"id":null,"function":{"name":null,"arguments":"{"},"index":0,"type":null'),
            ],
        ),
        (
            Calls(id="empty", type="empty", name="empty"),
            [
                opening('{"name":"f","arguments":""}'),
                piece('"id":"","function":{"name":"","arguments":"{"},"index":0,"type":""'),
            ],
        ),
        (
            Calls(type="repeated", name="repeated"),
            [
                opening('{"name":"f","arguments":""}'),
                piece('"function":{"name":"f","arguments":"{"},"index":0,"type":"function"'),
            ],
        ),
        (
            Calls(name="late"),
            [
                opening('{"arguments":""}'),
                piece('"function":{"name":"f","arguments":"{"},"index":0'),
                piece('"function":{"arguments":"}"},"index":0'),
            ],
        ),
        (
            Calls(id="late"),
            [
                '{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":""},"index":0,"type":"function"}]}',
                piece('"id":"i","function":{"arguments":"{"},"index":0'),
                piece('"function":{"arguments":"}"},"index":0'),
            ],
        ),
        (
            Calls(id="late", name="late"),
            [
                '{"role":"assistant","tool_calls":[{"function":{"arguments":""},"index":0,"type":"function"}]}',
                piece('"id":"i","function":{"name":"f","arguments":"{"},"index":0'),
            ],
        ),
        (
            Calls(index="absent"),
            ['{"role":"assistant","tool_calls":[{"id":"i","function":{"name":"f","arguments":""},"type":"function"}]}'],
        ),
        (
            Calls(index="null"),
            [
                '{"role":"assistant","tool_calls":[{"id":"i","function":{"name":"f","arguments":""},"index":null,"type":"function"}]}'
            ],
        ),
        (
            Calls(index="from_one"),
            [
                '{"role":"assistant","tool_calls":[{"id":"i","function":{"name":"f","arguments":""},"index":1,"type":"function"}]}'
            ],
        ),
    ],
)
def test_how_a_tool_call_is_spelled(calls: Calls, expected: list[str]) -> None:
    assert deltas(CALL, Variation(split=1, role="first", calls=calls))[: len(expected)] == expected


@pytest.mark.parametrize(
    ("variation", "expected"),
    [
        (Variation(together=("calls",)), ["0 role", "0 A", "0 0:f{} 1:g{}"]),
        (Variation(together=("parts", "calls")), ["0 role", "0 A 0:f{} 1:g{}"]),
        (Variation(together=("parts",), role="first"), ["0 role A 0:f{}", "0 1:g{}"]),
        (Variation(calls=Calls(order="reversed")), ["0 role", "0 A", "0 1:g{}", "0 0:f{}"]),
        (Variation(calls=Calls(index="zero")), ["0 role", "0 A", "0 0:f{}", "0 0:g{}"]),
    ],
)
def test_what_shares_a_delta(variation: Variation, expected: list[str]) -> None:
    assert said(divide(BOTH, variation)) == expected


def test_choices_share_a_chunk() -> None:
    two = msgspec.structs.replace(ONE, choices=(*ONE.choices, chat_choice(content="x")), usage=None)
    assert wire(two, Variation(together=("choices",), role="first")) == [
        '{"delta":{"role":"assistant","content":"A b"}} + {"delta":{"role":"assistant","content":"x"}}',
        '{"delta":{},"finish_reason":"stop"}',
    ]


def test_the_keys_of_reasoning() -> None:
    thought = Completion((chat_choice(reasoning="Hm"),))
    details = '"reasoning_details":[{"type":"reasoning.text","text":"Hm","format":"unknown","index":0}]'
    for key, expected in (
        ("reasoning_content", '{"reasoning_content":"Hm"}'),
        ("reasoning", '{"reasoning":"Hm"}'),
        ("reasoning_details", f"{{{details}}}"),
        ("both", f'{{"reasoning":"Hm",{details}}}'),
        ("thinking", '{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm"}]}]}'),
    ):
        assert deltas(thought, msgspec.convert({"reasoning": key, "role": "never"}, Variation)) == [expected]


def test_padding_while_reasoning_is_one_delta_short_of_the_tokens() -> None:
    thought = msgspec.structs.replace(ONE, usage=Usage(reasoning=5))
    assert len(divide(thought, Variation(padding="reasoning"))) == len(divide(ONE, Variation())) + 4


def test_ids() -> None:
    def ids(habit: str) -> list[str]:
        return [frame["id"] for frame in sent(ONE, msgspec.convert({"id": habit}, Variation))]

    assert ids("first_empty") == ["", "c", "c", "c"]
    assert ids("changing") == ["c", "c-1", "c-2", "c-3"]


def test_spelling() -> None:
    def spelt(**how: object) -> str:
        variation = Variation(spelling=msgspec.convert(how, Spelling)).over(PLAIN)
        (chunk,) = divide(Completion((chat_choice(content="é🌍"),)), Variation(role="never"))
        return data_of(chunk, split(variation, PLAIN_PROVIDER).habits)

    plain = '{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"é🌍"}}]}'
    assert spelt() == plain
    assert spelt(ascii=True) == plain.replace("é🌍", r"\u00e9\ud83c\udf0d")
    assert spelt(spaces=True) == json.dumps(json.loads(plain), ensure_ascii=False)
    assert spelt(order="sorted").startswith('{"choices":[{"delta":')
    assert spelt(order="reversed").startswith('{"choices":[{"delta":{"content":"é🌍"},"index":0}],"model":')
    assert (
        spelt(keys=["model", "choices"], choice_keys=["delta"])
        == '{"model":"m","choices":[{"delta":{"content":"é🌍"}}]}'
    )
    assert spelt(each={"p": ["x", "y"]}) == plain.removesuffix("}") + ',"p":"x"}'
    assert spelt(each={"p": []}) == plain
    assert spelt(extra={"provider": None}) == plain.removesuffix("}") + ',"provider":null}'


def test_done_can_be_left_out() -> None:
    from fakellm.wire.timing import Timing

    frames = stream(ONE, Variation(done=False), DIALECTS["openai"], Timing(), Source(0))
    assert not frames[-1].data.startswith(b"data: [DONE]")


def test_a_variation_overrides_the_usual_one_key_by_key() -> None:
    usual = Variation(split={"content": "tokens", "arguments": 3}, calls=Calls(id="null"), padding=5)
    given = Variation(split={"content": "whole"}, calls=Calls(type="empty"), padding=0)
    assert given.over(usual) == Variation(
        split={"content": "whole", "arguments": 3}, calls=Calls(id="null", type="empty"), padding=0
    )
    assert Variation(split="whole").over(usual).split == "whole"
