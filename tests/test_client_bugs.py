"""What has broken real clients, by the row of fakellm's list, each served by a rule: the stream or response that did it.

A row whose shape no habit or fault names is said word for word, with the chunk's own keys (`spelling.each`).
"""

from __future__ import annotations

import pytest
import yaml

from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.http.http1 import bursts
from tests.conftest import chat, respond

TEXT = {"content": "One 中 two", "finish_reason": "stop", "id": "c", "created": 9, "model": "m"}
CALLS = {
    "tool_calls": [{"name": "f", "arguments": '{"a":1}', "id": "i"}, {"name": "g", "arguments": '{"b":2}', "id": "j"}],
    "id": "c",
    "created": 9,
    "model": "m",
}

FRAME = (
    '"system_fingerprint":"fp_24bf8fec9f"}\n\n'
    'data: {"id":"c","object":"chat.completion.chunk","created":9,"model":"m","choices":[{"index":0,"delta":{'
)
"""From the end of a choice to the next delta."""


def served(rule: str, reply: dict[str, object], stream: bool = True) -> bytes:
    """All that leaves for a request: head, body, and at last how the connection ends."""
    scenario = {"dialect": "xai", "rules": [{"reply": reply} | yaml.safe_load(rule)]}
    body = chat(stream=stream, **({"stream_options": {"include_usage": True}} if stream else {}))
    answer = respond(App(load(scenario)), HttpRequest("POST", "/v1/chat/completions", body))
    return b"".join(burst.data for burst in bursts(answer.plan)) + b"<%b>" % answer.plan.end.encode()


STREAMS = [
    ("A1", "stream: {transfer: {cut: inside_characters}}", "\xe4\r\n1\r\n\xb8\r\n"),
    ("A2", "stream: {transfer: {cut: 1}}", "1\r\nd\r\n1\r\na\r\n1\r\nt\r\n"),
    ("A3", "stream: {sse: {line_end: cr}}", "}\r\r\r\n"),
    ("A3", "stream: {sse: {line_end: crlf}, transfer: {cut: inside_line_ends}}", "\r\r\n1\r\n\n\r\n"),
    ("A4", "stream: {sse: {space: false}}", "data:{"),
    (
        "A5",
        "stream: {sse: {insert: [{before: [0, 2], comment: OPENROUTER PROCESSING}]}}",
        ": OPENROUTER PROCESSING\n\n",
    ),
    ("A6", "stream: {sse: {ids: true, insert: [{before: [1], comment: ping}]}}", "id: 0\ndata: {"),
    ("A7", "stream: {sse: {insert: [{before: [0], retry: 1000}]}}", "retry: 1000\n\n"),
    ("A8", 'stream: {sse: {insert: [{before: [1], data: ""}]}}', "data: \n\n"),
    ("A9", "stream: {sse: {multiline: true}}", 'data: {"id":"c",\ndata: "object"'),
    ("A10", "stream: {sse: {bom: true}}", "\xef\xbb\xbfdata: {"),
    (
        "A12",
        "stream: {sse: {insert: [{before: [1], event: x.progress, data: '{}'}]}}",
        "event: x.progress\ndata: {}\n\n",
    ),
    ("A13", "fault: {kind: unterminated}", "}\r\n0\r\n\r\n<complete>"),
    ("A15", "stream: {spelling: {ascii: true, order: reversed, extra: {provider: x}}}", r"\u4e2d"),
    (
        "A17",
        "stream: {transfer: {content_type: text/event-stream;charset=UTF-8}}",
        "Content-Type: text/event-stream;charset=UTF-8\r\n",
    ),
    ("A18", "stream: {transfer: {gzip: true}}", "Content-Encoding: gzip\r\n"),
    ("B1", "stream: {padding: [{before: [0], choices: false}]}", '"choices":[],"system'),
    ("B2", "stream: {padding: [{before: [1], choices: 'null'}]}", '"choices":null'),
    ("B2", "stream: {padding: [{before: [1], choices: absent}]}", '"model":"m","system_fingerprint"'),
    ("B2", "stream: {usage_choices: absent}", '"model":"m","usage":{"prompt_tokens"'),
    ("B3", "stream: {spelling: {each: {choices: [[{index: 0, delta: null, finish_reason: null}]]}}}", '"delta":null'),
    ("B4", "stream: {role: every}", '"delta":{"content":" 中","role":"assistant"}'),
    ("B5", "stream: {role: never}", '"delta":{"content":"One"}}'),
    ("B6", 'stream: {padding: [{count: 1000, delta: {content: ""}}]}', '"delta":{"content":""}'),
    ("B7", "stream: {unfinished: empty}", '"finish_reason":""'),
    ("B8", "stream: {finish: last}", '"delta":{"content":" two"},"finish_reason":"stop"'),
    (
        "B9",
        "stream: {finish: twice, transfer: {coalesce: all}}",
        f'"finish_reason":"stop"}}],{FRAME}}},"finish_reason":"stop"',
    ),
    ("B10", "stream: {usage: after}", '"choices":[{"index":0,"delta":{}}],"usage":{'),
    ("B11", "stream: {done: false}", "}\n\n\r\n0\r\n\r\n"),
    ("B12", "fault: {kind: stall, frame: 9}", "<stall>"),
    ("B13", "stream: {id: changing, ticks: [1, 2]}", '{"id":"c-2","object":"chat.completion.chunk","created":11'),
    ("B19", "stream: {}\nreply: {choices: [{content: a}, {content: b}]}\n", '"choices":[{"index":1,'),
    ("B20", "stream: {spelling: {each: {choices: [[{index: 7, delta: {content: x}}]]}}}", '"index":7'),
    ("D1", "stream: {usage: running}", '"completion_tokens":1,'),
    ("D2", "stream: {usage: both}", '"finish_reason":"stop"}],"usage":{'),
    ("D3", "stream: {spelling: {each: {usage: [{}, {prompt_tokens: null}]}}}", '"usage":{"prompt_tokens":null}'),
    (
        "D4",
        "stream: {usage: none, spelling: {each: {choices: [[{index: 0, delta: {}, usage: {prompt_tokens: 1}}]]}}}",
        '"usage":{"prompt_tokens":1}}]',
    ),
    (
        "D5",
        "stream: {usage: none, transfer: {coalesce: all}}",
        '"finish_reason":"stop"}],"system_fingerprint":"fp_24bf8fec9f"}\n\ndata: [DONE]',
    ),
    ("E1", "fault: {kind: no_finish}", '"content":" two"}}],"system_fingerprint":"fp_24bf8fec9f"}\n\n\r\n0\r\n'),
    ("E4", "dialect: openai\nfault: {kind: error, frame: 2, message: boom}", 'data: {"error":{"message":"boom"'),
    ("E5", "fault: {kind: error, shape: chunk, frame: 2}", '"finish_reason":"error"'),
    ("E6", "fault: {kind: error, shape: message, frame: 2, message: boom}", 'event: error\ndata: {"message":"boom"}'),
    ("E7", "fault: {kind: glued, frame: 1}", "}data: {"),
    ("E8", "fault: {kind: empty}", "\r\n\r\n0\r\n\r\n<"),
    ("E9", "fault: {kind: content_filter, keep: 3}", '"finish_reason":"content_filter"'),
    ("F1", "fault: {kind: reset, frame: 2}", "<reset>"),
    ("F2", "fault: {kind: close, frame: -1}", "<close>"),
    ("F3", "fault: {kind: close, frame: 3, times: 1}", "<close>"),
    ("F4", "fault: {kind: stall, at: headers}", "<stall>"),
    ("F5", "fault: {kind: drip, frame: 2, every: 0.5}", "<stall>"),
    ("F6", "fault: {kind: status, status: 429, retry_after: 1, times: 2}", "HTTP/1.1 429 Too Many Requests\r\n"),
    ("F6", "fault: {kind: status, status: 429, retry_after: abc}", "Retry-After: abc\r\n"),
    ("F7", "fault: {kind: status, status: 529}", "HTTP/1.1 529 "),
    ("F8", "fault: {kind: html}", "Content-Type: text/html"),
    ("F8", "fault: {kind: whole}", '"object":"chat.completion"'),
    ("F10", "fault: {kind: hang_up}", "<hang_up>"),
    (
        "F11",
        "fault: {kind: status, status: 307, headers: {location: /v1/chat/completions}}",
        "location: /v1/chat/completions\r\n",
    ),
    ("F13", "stream: {spelling: {extra: {score: .nan}}}", '"score":NaN'),
]

REPLIES = [
    ("A11", 'reply: {content: "a\\u2028b\\x85c\\vd"}\nstream: {split: whole}', "a\u2028b\x85c"),
    ("A16", 'reply: {content: "🌍"}\nstream: {split: surrogates}', r'"content":"\ud83c"'),
    (
        "B14",
        "reply: {reasoning: Hm, content: Hi}\nstream: {reasoning: both}",
        '"reasoning":"Hm","reasoning_details":[{',
    ),
    ("B15", "reply: {content: <think>Hm</think>Hi}\nstream: {split: {content: [4]}}", '"content":"<thi"'),
    (
        "B16",
        "reply: {content: Hi}\nstream: {spelling: {each: {choices: [[{index: 0, delta: {content: [{type: text, text: x}]}}]]}}}",
        '"content":[{"type":"text","text":"x"}]',
    ),
    ("B17", "reply: {refusal: No.}", '"refusal":"No"'),
    (
        "B18",
        "reply: {content: It is, logprobs: [[It, -0.1], [' is', -0.2]]}\nstream: {role: alone}",
        '"delta":{"role":"assistant"},"logprobs":{"content":[],"refusal":null}}',
    ),
    (
        "C21",
        "reply: {tool_calls: [{name: f, arguments: '{\"a\":9007199254740993}'}]}\nstream: {split: 1}",
        '"arguments":"9"',
    ),
]

CALL_STREAMS = [
    ("C1", "stream: {split: characters}", r'"arguments":"\""'),
    ("C2", "stream: {together: [calls], finish: last}", '"index":1,"type":"function"}]},"finish_reason":"tool_calls"'),
    (
        "C3",
        "stream: {split: 2, interleave: calls, transfer: {coalesce: all}}",
        f'"arguments":""}},"index":0,"type":"function"}}]}}}}],{FRAME}"tool_calls":[{{"id":"j"',
    ),
    ("C4", "stream: {split: 2, calls: {opening: pair}}", '"index":0,"type":"function"},{"function":{"arguments"'),
    ("C5", "stream: {calls: {order: reversed, index: from_one}}", '"index":2,'),
    ("C6", "stream: {calls: {index: absent}}", '"arguments":"{\\"a\\":1}"},"type":"function"}'),
    ("C7", "stream: {calls: {index: zero}}", '{"id":"j","function":{"name":"g","arguments":"{\\"b\\":2}"},"index":0'),
    (
        "C8",
        "stream: {spelling: {each: {choices: [null, [{index: 0, delta: {tool_calls: [{index: 0, id: other}]}}]]}}}",
        '"id":"other"',
    ),
    ("C9", "stream: {split: 2, calls: {id: repeated}}", '{"id":"i","function":{"arguments":'),
    (
        "C10",
        "stream: {split: 2, calls: {id: empty, name: empty, type: empty}}",
        '{"id":"","function":{"name":"","arguments":',
    ),
    (
        "C11",
        "stream: {split: 2, calls: {id: 'null', name: 'null', type: 'null'}}",
        '{"id":null,"function":{"name":null,"arguments":',
    ),
    ("C12", "stream: {split: 2, calls: {name: repeated}}", '"function":{"name":"f","arguments":"a'),
    ("C13", "stream: {split: 2, calls: {name: late}}", '"function":{"arguments":""}'),
    ("C14", "stream: {split: 2, calls: {arguments: 'null'}}", '"function":{"name":"f","arguments":null}'),
    (
        "C18",
        "stream: {spelling: {each: {choices: [[{index: 0, delta: {tool_calls: [{index: 0, function: {arguments: {a: 1}}}]}}]]}}}",
        '"arguments":{"a":1}',
    ),
    ("C19", "stream: {fill: {delta: {tool_calls: empty}}}", '"tool_calls":[]'),
    ("C22", "stream: {split: 2, calls: {id: late}}", '[{"function":{"name":"f","arguments":""},"index":0,'),
    ("C20", "fault: {kind: no_call}", '"delta":{"role":"assistant"}'),
    ("E2", "fault: {kind: length, keep: 3}", '"finish_reason":"length"'),
    ("E3", "fault: {kind: no_finish}", '"type":"function"}]}}],"system_fingerprint":"fp_24bf8fec9f"}\n\n\r\n0\r\n'),
]

CALL_REPLIES = [
    ("C15", "reply: {tool_calls: [{name: f, arguments: ''}]}\nstream: {split: 1}", '"arguments":""'),
    ("C16", "reply: {tool_calls: [{name: f}], finish_reason: stop}", '"finish_reason":"stop"'),
    ("C17", "reply: {tool_calls: [{name: f, arguments: '{}{\"a\":1}'}]}\nstream: {split: [2]}", '"arguments":"{}"'),
]


@pytest.mark.parametrize(("row", "rule", "expected"), [*STREAMS, *REPLIES])
def test_a_stream_of_text_that_broke_a_client(row: str, rule: str, expected: str) -> None:
    assert seen(expected) in served(rule, TEXT)
    assert seen(expected) not in served("{}", TEXT)


@pytest.mark.parametrize(("row", "rule", "expected"), [*CALL_STREAMS, *CALL_REPLIES])
def test_a_stream_of_calls_that_broke_a_client(row: str, rule: str, expected: str) -> None:
    assert seen(expected) in served(rule, CALLS)
    assert seen(expected) not in served("{}", CALLS)


@pytest.mark.parametrize(
    ("row", "fault", "expected"),
    [
        ("F9", "{kind: no_choices}", '"choices":[]'),
        ("F9", "{kind: close, byte: -20}", "<close>"),
        ("F9", "{kind: stream}", "data: {"),
    ],
)
def test_a_whole_body_that_broke_a_client(row: str, fault: str, expected: str) -> None:
    assert seen(expected) in served(f"fault: {fault}", TEXT, stream=False)
    assert seen(expected) not in served("{}", TEXT, stream=False)


def test_a_line_of_megabytes() -> None:  # A14
    assert b"x" * 3_000_000 in served("stream: {split: whole}", TEXT | {"content": "x" * 3_000_000})


def seen(expected: str) -> bytes:
    """The bytes of a literal: single characters below U+0100 that are no text are bytes, others are UTF-8."""
    raw = any(character in expected for character in "\xe4\xef")
    return expected.encode("latin-1") if raw else expected.encode()
