"""What new users get wrong, and the message that says what and where it is, and what to do."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner

import fakellm
from fakellm.cli import main
from tests.conftest import chat, post

YAML = {
    "a text as the reply": ("rules:\n- reply: Hi\n", "a.yaml:2:10: rules[0].reply: expected object, got string; write {content: Hi}"),
    "a text as the condition": ("rules:\n- when: Hi\n  reply: {}\n", "a.yaml:2:9: rules[0].when: expected object, got string; write {user: Hi}"),
    "a number as the fault": ("rules:\n- reply: {}\n  fault: 429\n", "a.yaml:3:10: rules[0].fault: * write {kind: status, status: 429}"),
    "a word as the fault": ("rules:\n- reply: {}\n  fault: reset\n", "a.yaml:3:10: rules[0].fault: * write {kind: reset}"),
    "a number as the timing": ("rules:\n- reply: {}\n  timing: 0.5\n", "a.yaml:3:11: rules[0].timing: * write {first: 0.5}"),
    "a time with its unit": ("rules:\n- reply: {}\n  timing: {first: 200ms}\n", "a.yaml:3:19: rules[0].timing.first: *, got string '200ms'; write 0.2, in seconds"),
    "a number as a word": ("rules:\n- reply: {}\n  fault: {kind: status, status: 429, times: two}\n", "a.yaml:3:45: rules[0].fault.times: *, got string 'two'; write 2"),
    "a word for true": ('rules:\n- when: {stream: "yes"}\n  reply: {}\n', "a.yaml:2:18: rules[0].when.stream: *, got string 'yes'; write true, without quotes"),
    "texts as a script": ("rules:\n- script: [one, two]\n", "a.yaml:2:12: rules[0].script[0]: * write {reply: {content: one}}"),
    "names as calls": ("rules:\n- reply: {tool_calls: [add]}\n", "a.yaml:2:24: rules[0].reply.tool_calls[0]: * write {name: add}"),
    "a file in place of a list": ("include: a.yaml\nrules: []\n", "a.yaml:1:10: include: expected array, got string; write [[]a.yaml]"),
    "rules without dashes": ("rules:\n  reply: {content: Hi}\n", "a.yaml:2:3: rules: expected array, got object; start each item of the list with '- '"),
    "a list of rules alone": ("- reply: {content: Hi}\n", "a.yaml:1:1: expected object, got array; write 'rules:' in a line above the list"),
    "a rule alone": ("when: {user: Hi}\nreply: {content: Hi}\n", "a.yaml:1:1: unknown key 'when'; *; 'when' is a key of a rule: each rule is an item of 'rules'"),
    "keys that are not indented": ("rules:\n- reply:\n  content: Hi\n", "a.yaml:3:3: rules[0]: unknown key 'content'; *; 'content' is a key of 'reply': write reply: {content: …}"),
    "a condition beside the reply": ("rules:\n- user: Hi\n  reply: {}\n", "a.yaml:2:3: rules[0]: unknown key 'user'; *; 'user' is a key of 'when': write when: {user: …}"),
    "a block within the reply": ("rules:\n- reply: {content: Hi, timing: {first: 1}}\n", "a.yaml:2:24: rules[0].reply: unknown key 'timing'; *; 'timing' is a key of the rule, beside 'reply'"),
    "a value of the body": ("rules:\n- when: {temperature: 0}\n  reply: {}\n", "a.yaml:2:10: rules[0].when: unknown key 'temperature'; *; any other value of the request is one of its body: body: {temperature: …}"),
    "a quotation mark that is never closed": ('rules:\n- reply: {content: "Hi}\n- reply: {content: Ho}\n', "a.yaml:2:20: this quotation mark is never closed"),
    "one that is closed by the next": ('rules:\n- reply: {content: "Hi}\n- reply: {content: "Ho"}\n', "a.yaml:2:20: this quotation mark is closed only in line 3: close it where the text ends"),
    "a bracket that is never closed": ("rules:\n- reply: {content: Hi\n", "a.yaml:2:10: this bracket is never closed"),
    "the provider's name for a dialect": ("dialect: grok\nrules: []\n", "a.yaml:1:10: dialect: 'grok' is not one of *; did you mean 'xai'?"),
    "another name for a fault": ("rules:\n- reply: {}\n  fault: {kind: timeout}\n", "a.yaml:3:17: rules[0].fault.kind: 'timeout' is not one of *; did you mean 'stall'?"),
    "another name for a key": ("rules:\n- reply: {text: Hi}\n", "a.yaml:2:11: rules[0].reply: unknown key 'text'; *; did you mean 'content'?"),
    "another name for a key of another block": ("rules:\n- reply: {}\n  delay: 1\n", "a.yaml:3:3: rules[0]: unknown key 'delay'; *; did you mean 'first', a key of 'timing'? write timing: {first: …}"),
    "another word for the reply": ("rules:\n- response: {content: Hi}\n", "a.yaml:2:3: rules[0]: unknown key 'response'; *; did you mean 'reply'?"),
    "data as the content": ("rules:\n- reply: {content: {name: Ada}}\n", """a.yaml:2:20: rules[0].reply.content: expected string, got object; put the JSON in quotes: '{"name": "Ada"}'"""),
    "OpenAI's form of a call": ('rules:\n- reply: {tool_calls: [{type: function, function: {name: add}}]}\n', "a.yaml:2:41: rules[0].reply.tool_calls[0]: unknown key 'function'; *; write a call as {name: add, arguments: {a: 1}}, without 'type' and 'function'"),
    "several faults": ("rules:\n- reply: {}\n  fault: [{kind: reset}, {kind: stall}]\n", "a.yaml:3:10: rules[0].fault: expected object | null, got array; a reply has one fault: put each further one into 'then' or 'script', with its reply"),
    "several texts as a condition": ("rules:\n- when: {user: [hi, ho.]}\n  reply: {}\n", 'a.yaml:2:16: rules[0].when.user: *, got array; write one rule each, or {regex: "hi|ho\\\\."}'),
    "a text as a result": ("rules:\n- when: {result: weather}\n  reply: {}\n", "a.yaml:2:18: rules[0].when.result: *; write {add: weather}, by the name of the tool"),
    "a text as the body": ("rules:\n- when: {body: hi}\n  reply: {}\n", "a.yaml:2:16: rules[0].when.body: *; write {'messages[-1].content': hi}, by the path of the value"),
    "a text as the headers": ("rules:\n- when: {headers: hi}\n  reply: {}\n", "a.yaml:2:19: rules[0].when.headers: *; write {x-run: hi}, by the name of the header"),
    "the size of chunks": ("rules:\n- reply: {}\n  stream: {chunk_size: 3}\n", "a.yaml:3:12: rules[0].stream: unknown key 'chunk_size'; *; did you mean 'split'?"),
    "a status as the kind of a fault": ("rules:\n- reply: {}\n  fault: {kind: ratelimit}\n", "a.yaml:3:17: rules[0].fault.kind: 'ratelimit' is not one of *; write {kind: status, status: 429}"),
    "a model as the dialect": ("dialect: claude\nrules: []\n", "a.yaml:1:10: dialect: 'claude' is not one of *; did you mean 'anthropic'?"),
    "a file of a later release": ("version: 7\nrules: []\n", "a.yaml:1:10: version: a scenario of version 7; *: use a later fakellm: *"),
}  # fmt: skip


def matches(message: str, pattern: str) -> bool:
    """Whether a message is as in a pattern, in which * stands for any text."""
    return re.fullmatch(".*".join(map(re.escape, pattern.replace("[[]", "[").split("*"))), message) is not None


@pytest.mark.parametrize("mistake", YAML)
def test_a_mistake_in_yaml(mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, expected = YAML[mistake]
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(text)
    done = CliRunner().invoke(main, ["check", "a.yaml"])
    assert done.exit_code == 2
    assert any(matches(line, expected) for line in done.output.splitlines()), done.output


def test_a_placeholder_outside_a_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(
        "rules:\n- when: {turn: 1}\n  reply: {content: 'Hi {{user}}, {{name}} {{{{'}\n"
        "- reply: {content: 'Hi {{user}}', template: true}\n"
    )
    done = CliRunner().invoke(main, ["check", "a.yaml"])
    remedy = "to fill it, add template: true to the reply"
    assert done.output == f"a.yaml: 2 rules of scenario\na.yaml: scenario#1: {{{{user}}}} is sent as it is; {remedy}\n"


COMMANDS = {
    "an unknown command": ("serv", "No such command 'serv'; did you mean 'serve'?"),
    "no command": ("a.yaml", "No such command 'a.yaml'; to serve it: fakellm serve a.yaml"),
    "a missing file": ("serve nowhere.yaml", "nowhere.yaml: no such file or directory"),
    "a port that is none": ("serve --port http", "'http' is not a valid integer"),
    "a time without a unit": ("fuzz --max-time 5 -- true", "expected a time above 0 such as 90s, 10m or 1.5h, got '5'"),
    "a time with its unit": ("serve --latency 300ms", "'300ms' is not a valid float range. Write 0.3, in seconds."),
    "a file as an option": ("serve --scenario a.yaml", "No such option '--scenario'. A file is an argument: fakellm serve FILE\n"),
    "a file as an option of another command": ("check -f a.yaml", "A file is an argument: fakellm check FILE\n"),
    "a port as an argument": ("serve 8000", "8000: no such file or directory; a port is an option: --port 8000"),
    "a port as a short option": ("serve -p 8000", "No such option '-p'. Did you mean '--port'?"),
    "another word for a command": ("validate a.yaml", "No such command 'validate'; did you mean 'check'?"),
    "a provider as the API": ("render --api anthropic a.yaml", "'ollama', 'responses'. Did you mean 'messages'?"),
    "an option of the driver": ("fuzz python mine.py --slow", "Write -- before the driver's command: fakellm fuzz -- python mine.py --slow"),
    "an API as the profile": ("fuzz --profile anthropic -- true", "; for clients of messages, write --api messages"),
    "a URL without its scheme": ("record --upstream api.openai.com -o a.jsonl", "write it as https://api.example.com/v1"),
    "a recording as a scenario": ("serve hi.sse", "a recording, not a scenario: `fakellm replay hi.sse` answers with it"),
    "files to edit without a scenario": ("serve --edit", "--edit writes the files of a SCENARIO, and there is none"),
    "a timing beside a scenario": ("serve fakellm:echo --latency 1", "--latency and --tokens-per-second are for replies without a SCENARIO"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", COMMANDS)
def test_a_mistake_on_the_command_line(mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words, expected = COMMANDS[mistake]
    monkeypatch.chdir(tmp_path)
    Path("hi.sse").write_text(
        'data: {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
    )
    done = CliRunner().invoke(main, words.split())
    assert done.exit_code == 2
    assert expected in done.output


@pytest.mark.parametrize("words", ["fuzz --file a.py", "init -f a.yaml"])
def test_a_command_without_a_file_asks_for_none(words: str) -> None:
    done = CliRunner().invoke(main, words.split())
    assert done.exit_code == 2
    assert "No such option" in done.output
    assert "A file is an argument" not in done.output


@pytest.fixture(scope="module")
def server() -> Iterator[fakellm.Handle]:
    with fakellm.serve("fakellm:echo") as running:
        yield running


URLS = {
    "one that is a route": ("/v1/chat/completions/chat/completions", "Your base URL ends in /chat/completions"),
    "one with /v1 for Anthropic": ("/v1/v1/messages", "It has /v1 twice"),
    "one with /v1 for Azure": ("/v1/openai/deployments/g/chat/completions", "Your azure_endpoint ends in /v1: it must be the address of the server alone, without /v1."),
    "the address of the server": ("/", "URL: POST /; in a browser, open /_fakellm/; there are POST /v1/chat/completions, "),
    "one with a slash at its end": ("/v1//chat/completions", "There is a slash too many: the route is /v1/chat/completions."),
    "an API that is not served": ("/v1/images/generations", "fakellm does not serve pictures"),
    "an unknown control route": ("/_fakellm/jurnal", "did you mean '/_fakellm/journal'?"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", URLS)
def test_a_mistake_in_a_url(mistake: str, server: fakellm.Handle) -> None:
    path, expected = URLS[mistake]
    refused = post(server.url + path, chat())
    assert refused.status_code == 404
    assert expected in refused.json()["error"]["message"]


def test_https(server: fakellm.Handle, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(server.url.replace("http:", "https:"), timeout=30)
    assert (
        "This is not an HTTP request: Received HTTPS traffic on an HTTP port. The URL of its client must start with http://"
        in caplog.text
    )


def test_http2(server: fakellm.Handle, caplog: pytest.LogCaptureFixture) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        client.recv(1)
    assert "Its client insists on HTTP/2, and must use HTTP/1.1." in caplog.text


def test_a_port_that_is_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(main, ["serve", "--port", str(port)])
    assert done.exit_code == 1
    assert re.search(f"fakellm: cannot listen on 127.0.0.1:{port}: .*in use", done.output)
