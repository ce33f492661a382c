"""HTTPS: every kind of reply as over plain HTTP, with a certificate made for the run or one of the user's; and when
connections are closed."""

from __future__ import annotations

import gc
import json
import socket
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import trustme
from click.testing import CliRunner

import fakellm
from fakellm.base.errors import ServerError
from fakellm.cli.serve_command import command
from fakellm.server.connections.settings import Connections
from fakellm.server.connections.tls import context, self_signed
from fakellm.server.hosting import Hosted
from fakellm.server.scenario_app import App
from fakellm.testing.handle import Handle
from tests.conftest import chat

RULES = """
rules:
- when: {user: slow}
  reply: {content: one two three}
  timing: {gap: 0.01}
- when: {user: stall}
  reply: {content: one two three}
  fault: {kind: stall, frame: 3}
- when: {user: reset}
  reply: {content: one two three}
  fault: {kind: reset, frame: 3}
- reply: {content: Hello.}
"""


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("start", [fakellm.serve, fakellm.spawn])
def test_an_sdk_that_trusts_the_certificate_gets_its_replies(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with start(RULES, tls=True) as server:
        assert server.url.startswith("https://127.0.0.1:")
        with (
            pytest.raises(openai.APIConnectionError),
            openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as stranger,
        ):
            stranger.chat.completions.create(model="m", messages=user("Hi"))
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        with openai.OpenAI() as client:
            assert client.chat.completions.create(model="m", messages=user("Hi")).choices[0].message.content == "Hello."
            stream = client.chat.completions.create(model="m", messages=user("slow"), stream=True)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "one two three"
        for form in ("curl", "python", "recording"):
            copied = httpx2.get(f"{server.url}/_fakellm/requests/1/{form}", verify=trusting(server)).text
            assert server.base_url in copied
        assert len(server.session("s").journal) == 0
        assert server.session("s").ca == server.ca
        assert [entry.outcome for entry in server.journal] == ["sent", "sent"]
    assert server.ca is not None
    assert not server.ca.exists()


def trusting(server: Handle) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.ca)


@pytest.mark.parametrize("text", ["stall", "reset"])
def test_a_reply_breaks_off_over_tls_too(text: str) -> None:
    with fakellm.serve(RULES, tls=True) as server, httpx2.Client(verify=trusting(server)) as client:
        content = chat(messages=user(text), stream=True)
        with client.stream("POST", server.base_url + "/chat/completions", content=content) as reply:
            pieces = reply.iter_raw()
            assert b"one" in next(pieces) + next(pieces)
            if text == "reset":
                with pytest.raises(httpx2.TransportError):
                    list(pieces)
        client.close()
        outcome: Any = "client left" if text == "stall" else "reset"
        server.wait_for(outcome=outcome, user=text)


def test_plain_http_to_a_tls_server_is_closed_and_the_server_goes_on() -> None:
    with fakellm.serve(tls=True) as server:
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with suppress(ConnectionResetError):
                assert plain.recv(100) == b""
        assert server.health()["status"] == "ok"


def test_a_client_that_ends_its_side_is_answered_or_closed_and_nothing_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with fakellm.serve(tls=True) as server:
        port = int(server.url.rpartition(":")[2])
        with trusting(server).wrap_socket(
            socket.create_connection(("127.0.0.1", port)), server_hostname="localhost"
        ) as client:
            client.sendall(b"GET /_fakellm/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with suppress(ssl.SSLError):  # of data that arrives after the end
                client.unwrap()
    assert caplog.text == ""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    found = {name: folder / f"{name}.pem" for name in ("ca", "cert", "key", "both", "broken")}
    authority.cert_pem.write_to_path(found["ca"])
    certificate.cert_chain_pems[0].write_to_path(found["cert"])
    certificate.private_key_pem.write_to_path(found["key"])
    certificate.private_key_and_cert_chain_pem.write_to_path(found["both"])
    found["broken"].write_text("no certificate")
    return found


@pytest.mark.parametrize("names", [("cert", "key"), ("both",)])
def test_a_certificate_of_the_users_own_is_served(files: dict[str, Path], names: tuple[str, ...]) -> None:
    options = [f"--tls-{name}={files[each]}" for name, each in zip(("cert", "key"), names, strict=False)]
    arguments = ["-m", "fakellm", "serve", "--port", "0", "--ready", "json", "--watch-stdin", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, *arguments], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        assert ready.keys() == {"url", "pid"}
        assert Handle(ready["url"], ca=files["ca"]).health()["status"] == "ok"
        process.stdin.close()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("cert", None), "cannot use the certificate .*cert.pem: "),
        (("broken", None), "cannot use the certificate .*broken.pem: "),
        (("ca", "key"), "cannot use the certificate .*ca.pem with .*key.pem: .*mismatch"),
    ],
)
def test_a_wrong_file_is_named(files: dict[str, Path], names: tuple[str, str | None], problem: str) -> None:
    with pytest.raises(ServerError, match=problem):
        context(Connections(certificate=files[names[0]], key=files[names[1]] if names[1] else None))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--tls", "self-signed", "--tls-cert", __file__], "leave out --tls-cert, or leave out --tls"),
        (["--tls-key", __file__], "--tls-key without --tls-cert"),
        (["--tls-cert", "nowhere.pem"], "does not exist"),
        (["--keep-alive", "0"], "0.0 is not in the range"),
        (["--grace", "nan"], "expected a finite number, got nan"),
        (["fakellm:echo", "--edit"], "not those of fakellm; copy one, and name the copy"),
        (["--keep-alive", "nan"], "expected a finite number, got nan"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: list[str], problem: str) -> None:
    result = CliRunner().invoke(command, ["--port", "0", *arguments])
    assert result.exit_code == 2
    assert problem in " ".join(result.output.split())


def test_without_the_package_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ServerError, match=r"needs the package trustme: pip install 'fakellm-server\[tls\]'"):
        self_signed([]).__enter__()


def test_a_connection_is_closed_after_its_requests() -> None:
    """The last reply announces it, so that a client loses no request."""
    with Hosted(App(), connections=Connections(requests=2)) as hosted, httpx2.Client() as client:
        url = hosted.url + "/v1/chat/completions"
        replies = [client.post(url, content=chat(stream=stream)) for stream in (False, True, True, False, True)]
    assert [reply.headers.get("connection") for reply in replies] == [None, "close", None, "close", None]
    assert {reply.status_code for reply in replies} == {200}


def test_an_idle_connection_is_closed() -> None:
    with Hosted(App(), connections=Connections(keep_alive=0.01)) as hosted:
        with socket.create_connection(("127.0.0.1", int(hosted.url.rpartition(":")[2])), timeout=30) as client:
            client.sendall(b"GET /_fakellm/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = b""
            while piece := client.recv(4096):
                received += piece
        assert received.startswith(b"HTTP/1.1 200")
        assert b"connection: close" not in received.lower()


def test_a_server_ends_although_a_client_keeps_its_connection() -> None:
    """TLS waits for the client's end; what the server left open would fail this test as a ResourceWarning."""
    with fakellm.serve(tls=True) as server:
        port = int(server.url.rpartition(":")[2])
        client = trusting(server).wrap_socket(
            socket.create_connection(("127.0.0.1", port)), server_hostname="localhost"
        )
        client.sendall(b"GET /_fakellm/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    with client:
        gc.collect()
