"""Servers with several workers, and connections to one of these."""

from __future__ import annotations

import http.client
import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from benchmarks.processes import children
from fakellm.testing.handle import Handle


class Received(NamedTuple):
    """What a client received."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A connection that is kept."""

    def __init__(self, server: Handle) -> None:
        address = urlsplit(server.url)
        self._http = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        self._http.connect()

    def begin(self, method: str, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
        """The response to a request, whose body is not read yet."""
        self._http.request(method, path, body)
        return self._http.getresponse()

    def send(self, method: str, path: str, body: bytes | None = None) -> Received:
        """The whole response to a request."""
        response = self.begin(method, path, body)
        return Received(response.status, tuple(response.getheaders()), response.read())

    def received(self) -> bytes:
        """What the server sends next, without a request; nothing if it closes the connection."""
        return self._http.sock.recv(1)

    def close(self) -> None:
        self._http.close()


@contextmanager
def alone(worker: int, server: Handle) -> Iterator[None]:
    """Within this block, no other worker runs, so that this one accepts what connects."""
    assert server.pid
    others = [pid for pid in children(server.pid) if pid != worker]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def connected(server: Handle, *workers: int) -> Iterator[list[Client]]:
    """A connection to each of these workers, which has begun to serve it."""
    with ExitStack() as stack:
        clients = []
        for worker in workers:
            with alone(worker, server):
                client = stack.enter_context(closing(Client(server)))
                assert client.send("OPTIONS", "/v1/models").status < 300  # for which no other worker is needed
            clients.append(client)
        yield clients


@contextmanager
def to_each(server: Handle) -> Iterator[list[Client]]:
    """A connection to each worker."""
    assert server.pid
    with connected(server, *children(server.pid)) as clients:
        yield clients
