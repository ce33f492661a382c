"""The grammars that a stream of chat obeys, production by production: the step that sends each, and how it looks.

The grammars are those of server-sent events (HTML, 9.2.5 and 9.2.6), of HTTP/1.1 bodies (RFC 9112, sections 6 and 7;
RFC 9110, section 8), of JSON (RFC 8259) and of the chunks in OpenAI's schema, with what providers send beside it. Data
only: a test finds each production among the first cases of a run, and docs/reference/grammar.md shows the table.
"""

from __future__ import annotations

from msgspec import Struct


class Production(Struct, frozen=True):
    """What a grammar allows.

    step: the step that sends it; empty if every stream has it. pattern: a regular expression that its bytes match, in
        HTTP the whole response, otherwise the body.
    """

    what: str
    step: str
    pattern: bytes


def _of(*rows: tuple[str, str, bytes]) -> tuple[Production, ...]:
    return tuple(Production(*row) for row in rows)


SSE = _of(
    ("a byte order mark", "sse.bom", rb"\A\xef\xbb\xbf"),
    ("a line that ends with LF", "", rb"\}\n\n"),
    ("a line that ends with CR LF", "sse.line_end: crlf", rb"\}\r\n\r\n"),
    ("a line that ends with CR", "sse.line_end: cr", rb"\}\r\r"),
    ("line ends of all kinds", "sse.line_end: mixed", rb"\}\n\r.*\}\r\n\n"),
    ("a blank line without anything before it", "sse.insert: blank_line", rb"\n\n\n"),
    ("a comment", "sse.insert: comment", rb"^: ping\n\n"),
    ("a comment without text", "sse.insert: comment", rb"^:\n\n"),
    ("a comment that looks like a field", "sse.insert: comment", rb"^: data: \{"),
    ("a comment within an event", "sse.alone: comment", rb"^: ping\ndata"),
    ("one without text within an event", "sse.alone: comment", rb"^:\ndata"),
    ("a colon and a space", "", rb"^data: \{"),
    ("a colon without a space", "sse.space", rb"^data:\{"),
    ("a value that begins with a space", "sse.space: two", rb"^data:  \{"),
    ("a name alone, without a colon", "sse.alone", rb"^foo\ndata"),
    ("a field without a value", "sse.insert: heartbeat", rb"^data: \n\n"),
    ("`data` on several lines", "sse.multiline", rb",\ndata: "),
    ("`data` before the other fields", "sse.event: message sse.data_first", rb"^data: .*\nevent: message\n\n"),
    ("`event` with the usual type", "sse.event: message", rb"^event: message\ndata"),
    ("`event` with an unknown type", "sse.insert: event", rb"^event: x.progress\ndata: \{"),
    ("`event` with empty data", "sse.insert: event", rb"^event: ping\ndata: \n\n"),
    ("`event` without data", "sse.insert: event", rb"^event: ping\n\n"),
    ("`event` without a value", "sse.alone", rb"^event\ndata"),
    ("`id` of an event", "sse.ids", rb"^id: 0\ndata"),
    ("`id` without data", "sse.insert: id", rb"^id: 7\n\n"),
    ("`id` that is empty", "sse.insert: id", rb"^id: \n\n"),
    ("`id` with a NUL, which is ignored", "sse.insert: id", rb"^id: 7\0\n\n"),
    ("`id` without a value", "sse.alone", rb"^id\ndata"),
    ("`retry` in digits", "sse.insert: retry", rb"^retry: 1000\n\n"),
    ("`retry` without digits, which is ignored", "sse.alone", rb"^retry\ndata"),
    ("an unknown field", "sse.fields", rb"^foo: bar\n"),
    ("a name in another case, which is unknown", "sse.fields", rb"^Data: \{\}\n"),
    ("an unknown field whose name begins like a known one", "sse.fields", rb"^dataset: \{\}\n"),
    ("an unknown field without a value", "sse.fields", rb"^x-y: \n"),
    ("a name after a space, which is unknown", "sse.fields", rb"^ data: \{\}\n"),
    ("events after the end", "sse.after", rb"\[DONE\]\n\ndata: \{"),
    ("an end without the blank line", "sse.ends_with: line_end", rb"\]\n\Z"),
    ("an end within a line", "sse.ends_with: nothing", rb"\]\Z"),
)

HTTP = _of(
    ("a chunk with its size in hexadecimal digits", "", rb"^[1-9a-f][0-9a-f]*\r\n"),
    ("a size in capitals, after zeros", "transfer.chunks: zeros", rb"^0000[0-9A-F]{4}\r\n"),
    ("chunk extensions, a quoted one too", "transfer.chunks: extensions", rb'^[0-9a-f]+;a;b=1;c="; \\""\r\n'),
    ("the last chunk, and nothing after it", "", rb"^0\r\n\r\n\Z"),
    ("fields after the last chunk", "transfer.trailers", rb"^0\r\nServer-Timing: [^\r]*\r\n\r\n\Z"),
    ("chunks cut inside a character", "transfer.cut: inside_characters", rb"\xe6\r\n1\r\n\x9d\r\n"),
    ("chunks of one byte", "transfer.cut: size", rb"^1\r\nd\r\n1\r\na\r\n"),
    ("a chunk with all events", "transfer.coalesce: all", rb"\}\n\ndata: \[DONE\]\n\n\r\n0\r\n"),
    ("a body with a length", "transfer.body: length", rb"^Content-Length: [0-9]+\r\n"),
    ("a body that ends with the connection", "transfer.body: close", rb"^Connection: close\r\n"),
    ("names of fields in lower case", "transfer.header_case: lower", rb"^content-type: "),
    ("names of fields in capitals", "transfer.header_case: upper", rb"^CONTENT-TYPE: "),
    ("no reason phrase, and no space before a value", "transfer.head: bare", rb"\AHTTP/1.1 200 \r\n[\w-]+:\w"),
    (
        "white space before a value",
        "transfer.head: padded",
        rb"^Content-Type: \t text/event-stream; charset=utf-8\r\n",
    ),
    ("interim responses", "transfer.head: interim", rb"\A(HTTP/1.1 100 Continue\r\n\r\n){2}HTTP/1.1 200 OK\r\n"),
    ("a coding", "transfer.gzip", rb"^Content-Encoding: gzip\r\n"),
    ("another coding", "transfer.encoding: deflate", rb"^Content-Encoding: deflate\r\n"),
    ("several members in a coding", "transfer.gzip: members", rb"\x1f\x8b\x08.*\x1f\x8b\x08"),
    ("two codings", "transfer.gzip: twice", rb"^Content-Encoding: gzip, gzip\r\n"),
    ("a media type with a parameter", "transfer.content_type", rb"^Content-Type: text/event-stream;charset=UTF-8\r\n"),
    ("a parameter that is quoted", "transfer.content_type", rb'^Content-Type: text/event-stream ; a="b;c"; '),
    ("a media type in another case", "transfer.content_type", rb"^Content-Type: Text/Event-Stream\r\n"),
    ("no media type", "transfer.content_type", rb"\AHTTP/1.1 200 OK\r\n(?!.*Content-Type)"),
)

JSON = _of(
    ("spaces between tokens", "spelling.spaces", rb'"choices": \['),
    ("line feeds between tokens", "sse.multiline", rb",\ndata: "),
    ("keys in alphabetical order", "spelling.order: sorted", rb'^data: \{"choices"'),
    ("keys in another order", "spelling.order: reversed", rb'"delta":\{[^\n]*\},"index":0'),
    ("characters outside ASCII as they are", "", rb"\xf0\x9f\x8c\x8d"),
    ("characters escaped, beyond 16 bits as two", "spelling.ascii", rb"\\u6771.*\\ud83c\\udf0d"),
    ("escapes of one letter", "", rb"\\n"),
    ("the same in full, in capitals", "spelling.escapes: long", rb"\\u000A"),
    ("escapes of what needs none", "spelling.html", rb"\\u003c"),
    ("an escaped slash", "spelling.escapes: slashes", rb"\\/"),
    ("unknown keys", "spelling.extra", rb'"provider":"x"'),
    ("unknown keys in choices and deltas", "spelling.extra", rb'"delta":\{[^}]*"x":"x"\}.*"x":\[\]\}'),
    ("null, true and false", "spelling.extra", rb'"q":\[\{\},\[\[\]\],true,false,"","\\u0000'),
    ("an empty key, negative zero", "spelling.extra", rb'"o":\{"":-0.0\}'),
    ("numbers with a fraction or an exponent", "spelling.extra", rb"1\.5,1e-07,1e\+300"),
    ("a whole number beyond 64 bits", "spelling.extra", rb"18446744073709551616"),
)

CHUNKS = _of(
    ("`id` that is empty at first", "id: first_empty", rb'\A[^\n]*"id":""'),
    ("`id` that changes", "id: changing", rb'"id":"chatcmpl-1-1"'),
    ("`created` that changes", "ticks", rb'"created":1700000001'),
    ("`choices` with a choice", "", rb'"choices":\[\{"index":0'),
    ("`choices` that are empty", "padding: no_choices", rb'"choices":\[\](?!,"usage":\{)'),
    ("`choices` that are null", "padding: null_choices", rb'"choices":null'),
    ("`choices` that are absent", "padding: absent_choices", rb'\{(?![^\n]*"choices")[^\n]*"model"[^\n]*\}\n'),
    ("`delta` that is empty", "padding", rb'"delta":\{\}[^\n]*\n\n.*"delta":\{\}'),
    ("`delta` that is null", "padding: null_delta", rb'"delta":null'),
    ("`delta` that is absent", "padding: no_delta", rb'"choices":\[\{"index":0,"finish_reason":null\}\]'),
    ("`role` once", "", rb'"role":"assistant"'),
    ("`role` in each delta", "role: every", rb'"role":"assistant".*"role":"assistant".*"role":"assistant"'),
    ("`role` again with each text", "role: repeated", rb'"role":"assistant","content":"[^"]'),
    ("`role` never", "role: never", rb'\A(?!.*"role").'),
    ("`role` that is null later", "fill.delta.role: null", rb'"delta":\{"role":null'),
    ("`content` that is empty", "fill.delta.content: empty", rb'"delta":\{"content":""\}'),
    ("`content` that is null", "fill.delta.content: null", rb'"content":null'),
    ("`refusal` that is empty", "fill.delta.refusal: empty", rb'"refusal":""'),
    ("`refusal` that is null", "fill.delta.refusal: null", rb'"refusal":null.*"refusal":null'),
    ("reasoning that is empty", "fill.delta.reasoning: empty", rb'"reasoning_content":""'),
    ("reasoning that is null", "fill.delta.reasoning: null", rb'"reasoning_content":null'),
    ("reasoning under another key", "reasoning: reasoning", rb'"reasoning":"'),
    ("reasoning under two keys", "reasoning: both", rb'"reasoning":"[^\n]*"reasoning_details":\[\{'),
    ("`tool_calls` that are empty", "fill.delta.tool_calls: empty", rb'"tool_calls":\[\]'),
    ("`tool_calls` that are null", "fill.delta.tool_calls: null", rb'"tool_calls":null'),
    ("several calls in one delta", "together: calls", rb'"tool_calls":\[\{"index":0[^\n]*\{"index":1'),
    ("the pieces of calls in turn", "interleave: calls", rb'"index":0,"id".*"index":1,"id".*"index":0,"function"'),
    ("one call twice in a delta", "calls.opening: pair", rb'"tool_calls":\[\{"index":0[^\n]*\{"index":0'),
    ("a call without `index`", "split.arguments: whole calls.index: absent", rb'"tool_calls":\[\{"id"'),
    ("`index` that is null", "split.arguments: whole calls.index: null", rb'"tool_calls":\[\{"index":null'),
    ("`index` from 1", "calls.index: from_one", rb'"tool_calls":\[\{"index":1[^\n]*\n\n.*"tool_calls":\[\{"index":2'),
    (
        "`index` 0 for all calls",
        "split.arguments: whole calls.index: zero",
        rb'"index":0,"id":"call_0".*"index":0,"id":"call_1"',
    ),
    ("the last call first", "calls.order: reversed", rb'"id":"call_1".*"id":"call_0"'),
    ("`id` of a call again", "calls.id: repeated", rb'"id":"call_0".*"id":"call_0"'),
    ("`id` of a call that is empty", "calls.id: empty", rb'"index":0,"id":""'),
    ("`id` of a call that is null", "calls.id: null", rb'"index":0,"id":null'),
    (
        "`id` of a call that is late",
        "calls.id: late",
        rb'"tool_calls":\[\{"index":0,"type":"function","function":\{"name"',
    ),
    ("`name` again", "calls.name: repeated", rb'"name":"get_weather".*"name":"get_weather"'),
    ("`name` that is empty", "calls.name: empty", rb'"name":""'),
    ("`name` that is null", "calls.name: null", rb'"name":null'),
    ("`name` that is late", "calls.name: late", rb'"type":"function","function":\{"arguments"'),
    ("`type` again", "calls.type: repeated", rb'"type":"function","function":\{"arguments":"[^"]'),
    ("`type` that is empty", "calls.type: empty", rb'"type":""'),
    ("`type` that is null", "calls.type: null", rb'"type":null'),
    ("`arguments` that are null", "calls.arguments: null", rb'"arguments":null'),
    ("`arguments` that are absent", "calls.arguments: absent", rb'"function":\{"name":"[^"]*"\}'),
    ("`finish_reason` that is null before", "", rb'"finish_reason":null'),
    ("`finish_reason` that is absent before", "unfinished: absent", rb'"delta":\{[^}]*\},"logprobs":null\}'),
    ("`finish_reason` that is empty before", "unfinished: empty", rb'"finish_reason":""'),
    ("`finish_reason` with the last content", "finish: last", rb'"content":"[^\n]*"finish_reason":"stop"'),
    ("`finish_reason` twice", "finish: twice", rb'"finish_reason":"[a-z_]+".*"finish_reason":"[a-z_]+"'),
    ("a call after the `finish_reason`", "finish: calls", rb'"finish_reason":"[a-z_]+".*"index":1,"id"'),
    ("content after the `finish_reason`", "finish: early", rb'"finish_reason":"[a-z_]+".*"(content|arguments)":"'),
    ("choices in one chunk", "together: choices", rb'"choices":\[\{"index":0[^\n]*\},\{"index":1'),
    ("the second choice first", "turns", rb'\A[^\n]*"choices":\[\{"index":1'),
    ("`usage` in a chunk of its own", "", rb'"choices":\[\][^\n]*"usage":\{'),
    ("a chunk after the `usage`", "padding: end", rb'"usage":\{"[^\n]*\n\n[^\n]*"choices":\[\]'),
    ("`usage` in a chunk with `choices: null`", "usage_choices: null", rb'"choices":null[^\n]*"usage":\{'),
    ("`usage` in a chunk without `choices`", "usage_choices: absent", rb'^data: \{(?![^\n]*"choices")[^\n]*"usage":\{'),
    ("`usage` that is null before", "", rb'"usage":null'),
    ("`usage` that is empty before", "usage_before: empty", rb'"usage":\{\}'),
    ("`usage` of zeros before", "usage_before: zeros", rb'\A[^\n]*"usage":\{"prompt_tokens":0,"completion_tokens":0'),
    ("`usage` that is absent before", "usage_before: absent", rb'\A[^\n]*"choices":\[\{(?![^\n]*"usage")'),
    ("`usage` with the `finish_reason`", "usage: finish", rb'"finish_reason":"[^\n]*"usage":\{"'),
    ("`usage` in every chunk", "usage: every", rb'\A[^\n]*"usage":\{"'),
    ("`usage` that counts up", "usage: running", rb'"completion_tokens":[01],.*"completion_tokens":5'),
    ("`usage` twice", "usage: both", rb'"usage":\{".*"usage":\{"'),
    ("no `usage`", "usage: none", rb'\A(?!.*"usage":\{).'),
    ("no `[DONE]`", "done", rb"\}\n\n\Z"),
)

GRAMMARS: dict[str, tuple[Production, ...]] = {
    "Server-sent events": SSE,
    "HTTP/1.1 bodies": HTTP,
    "JSON": JSON,
    "Chunks of chat": CHUNKS,
}
"""The productions of each grammar."""
