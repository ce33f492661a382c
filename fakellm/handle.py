"""A server of one's own: started in a thread or in a process, driven over its control routes.

Owns the handle and the two ways to start. `serve` and `spawn` give the same handle.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

import msgspec

from fakellm.cassettes.cassette import Cassette
from fakellm.control import Application, address
from fakellm.doors.keys import checked_key
from fakellm.errors import ScenarioError, ServerError
from fakellm.journal import Entry
from fakellm.loader import Source, dump, load
from fakellm.scenario import Scenario
from fakellm.timing import checked_speed

if TYPE_CHECKING:
    from fakellm.server import Relay

Put = Callable[[str, Scenario, bool], None]
"""Puts a scenario into a session of a server in this process, strict or not."""


class Handle:
    """A running server, or one session of it.

    `url` is its root, `base_url` what an SDK wants (``…/v1``).
    """

    def __init__(self, url: str, *, strict: bool = False, pid: int | None = None, put: Put | None = None) -> None:
        self.url = url
        self.base_url = url + "/v1"
        self.pid = pid
        """The process that serves, when it is not this one."""
        self._strict = strict
        self._put = put

    def session(self, name: str, *, strict: bool | None = None) -> Handle:
        """A session of its own on the same server: its scenario and its journal are seen by nobody else."""
        url = f"{self.url.partition('/s/')[0]}/s/{quote(name, safe='')}"
        return Handle(url, strict=self._strict if strict is None else strict, pid=self.pid, put=self._put)

    def load(self, source: Source) -> None:
        """Puts a scenario in place of the one there, and forgets the journal.

        Raises ScenarioError: for a bad scenario, and for a reply that is a function where the server is not in
        this process.
        """
        scenario = load(source)
        if self._put and scenario.computed:
            self._put(address(urlsplit(self.url).path)[0], scenario, self._strict)
        else:
            query = f"strict={'true' if self._strict else 'false'}"
            self._call("PUT", f"/_fakellm/scenario?{query}", dump(scenario).encode())

    def reset(self) -> None:
        """As it was at the start: the first scenario, an empty journal."""
        self._call("POST", "/_fakellm/reset")

    def step(self, frames: int | None = 1, *, request: int | None = None, timeout: int = 5) -> list[str]:
        """Lets so many frames of a stepped reply go (`timing: {step: true}`), or all that are left (None).

        Returns their texts once they have been written to the socket. They are frames of one reply: of the request with
        this number in the journal, else of the oldest one that has frames left; where it has fewer, fewer leave. Raises
        ServerError when none has come to wait in `timeout` seconds, or its client left or does not read.
        """
        query = f"frames={'all' if frames is None else frames}&timeout={timeout}"
        query += "" if request is None else f"&request={request}"
        texts: list[str] = self._call("POST", f"/_fakellm/step?{query}", patience=timeout)["frames"]
        return texts

    @property
    def journal(self) -> list[Entry]:
        """Every request since the start, the last load or reset, oldest first, with what became of it."""
        return msgspec.convert(self._call("GET", "/_fakellm/journal")["entries"], list[Entry])

    def health(self) -> dict[str, Any]:
        """The server's version, seed and scenario."""
        return self._call("GET", "/_fakellm/health")

    def _call(self, method: str, route: str, body: bytes | None = None, patience: int = 0) -> dict[str, Any]:
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30 + patience)
        try:
            connection.request(method, address.path + route, body)
            response = connection.getresponse()
            reply: dict[str, Any] = json.loads(response.read())
        except OSError as error:
            raise ServerError(f"no fake server answers at {self.url}: {error}") from None
        finally:
            connection.close()
        if response.status != 200:
            message = reply["error"]["message"]
            raise (
                ScenarioError(message.split("\n"))
                if reply["error"]["code"] == "invalid_scenario"
                else ServerError(message)
            )
        return reply


@contextmanager
def serve(
    source: Source | None = None,
    *,
    seed: int = 0,
    strict: bool = False,
    port: int = 0,
    speed: float = 1.0,
    api_key: str | None = None,
) -> Iterator[Handle]:
    """A server in a thread of this process, on a free port of 127.0.0.1 unless one is given.

    With no scenario it answers with generated text. `strict`: a request that no rule meets gets a 404 which says why,
    and no generated text. `speed`: 2 is twice as fast as the scenario's timing, 0 no delay at all. `api_key`: requests
    without it get a 401. Raises ScenarioError, ServerError when the port cannot be had, and ValueError when `speed` is
    negative or no number, or no header can hold the key.
    """
    from fakellm.app import App

    checked_speed(speed)
    keys = () if api_key is None else (checked_key(api_key),)
    app = App(None if source is None else load(source), seed=seed, strict=strict, api_keys=keys)
    with _served(app, port, speed) as (url, change):
        yield Handle(url, strict=strict, put=lambda *loaded: change(lambda: app.load(*loaded)))


@contextmanager
def replay(
    *recordings: str | Path | Cassette,
    ignore: Sequence[str] = (),
    again: Literal["repeat", "fail"] = "repeat",
    timing: bool = False,
    port: int = 0,
    speed: float = 1.0,
) -> Iterator[Handle]:
    """A server in a thread of this process that answers with recordings, as `fakellm replay` does.

    ignore: places in JSON bodies that do not count, as ``metadata.run_id``. again: once each recording of a request has
    been served, `repeat` the last, or `fail` with a 404. timing: wait as long as was recorded, divided by `speed`.
    Raises CassetteError, ServerError when the port cannot be had, and ValueError for a wrong `ignore` or `speed`.
    """
    from fakellm.cassettes import read_file
    from fakellm.replayer import Replay

    checked_speed(speed)
    cassettes = [each if isinstance(each, Cassette) else read_file(Path(each)) for each in recordings]
    with _served(Replay(cassettes, ignore=ignore, again=again, timing=timing), port, speed) as (url, _):
        yield Handle(url)


@contextmanager
def record(upstream: str, file: str | Path, *, missing_only: bool = False, port: int = 0) -> Iterator[Handle]:
    """A server in a thread of this process that passes requests on to `upstream` and records them in `file`.

    It does what `fakellm record` does: `upstream` is the base URL of an API, as ``https://api.openai.com/v1``; with
    `missing_only` the file answers what it can. Raises CassetteError where the file is no recording of fakellm's or
    cannot be written, ServerError when the port cannot be had, and ValueError where `upstream` is no such URL.
    """
    from fakellm.recorder import Recorder
    from fakellm.replayer import Replay
    from fakellm.tape import Tape
    from fakellm.upstream import checked_upstream

    checked_upstream(upstream)
    tape = Tape(Path(file))
    app = Replay([tape.cassette] if missing_only else [], relay=True)
    learn = app.recordings.add if missing_only else None
    with _served(app, port, 1.0, lambda: Recorder(upstream, tape, learn)) as (url, _):
        yield Handle(url)


@contextmanager
def _served(
    app: Application, port: int, speed: float, relay: Callable[[], Relay] | None = None
) -> Iterator[tuple[str, Callable[[Callable[[], None]], None]]]:
    """The URL of a server in a thread, and what does there what may put other sessions in place of some."""
    with Hosted(app, port, speed, relay) as hosted:
        yield hosted.url, hosted.change


class Hosted:
    """An application that is served in a thread of this process while this is entered. Raises ServerError on entering
    when the port cannot be had."""

    def __init__(
        self, app: Application, port: int = 0, speed: float = 1.0, relay: Callable[[], Relay] | None = None
    ) -> None:
        self._app = app
        self._port = port
        self._speed = speed
        self._relay = relay

    def __enter__(self) -> Hosted:
        from fakellm.server import Server, listen

        listener = listen("127.0.0.1", self._port)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="fakellm", daemon=True)
        self._thread.start()

        async def start() -> tuple[Server, str]:
            server = Server(self._app, self._speed, self._relay and self._relay())
            return server, await server.start(listener)

        try:
            self.server, self.url = asyncio.run_coroutine_threadsafe(start(), self.loop).result()
        except BaseException:
            self._end()
            raise
        return self

    def change(self, what: Callable[[], None]) -> None:
        """Does in the server's thread what may put other sessions in place of some."""

        async def changed() -> None:
            self.server.change(what)

        asyncio.run_coroutine_threadsafe(changed(), self.loop).result()

    def __exit__(self, *_: object) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self.server.stop(grace=0), self.loop).result()
        finally:
            self._end()

    def _end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@contextmanager
def spawn(
    source: Source | None = None,
    *,
    seed: int = 0,
    strict: bool = False,
    port: int = 0,
    speed: float = 1.0,
    api_key: str | None = None,
) -> Iterator[Handle]:
    """The same server in a process of its own, which ends with this block, and with this process however that ends."""
    command = [sys.executable, "-m", "fakellm", "serve", "--port", str(port), "--seed", str(seed)]
    command += ["--speed", str(checked_speed(speed))]
    command += [] if api_key is None else [f"--api-key={checked_key(api_key)}"]
    command += ["--ready", "json", "--watch-stdin", *(["--strict"] if strict else [])]
    with TemporaryDirectory(prefix="fakellm-") as folder:
        if source is not None:
            file = Path(folder, "scenario.yaml")
            file.write_text(dump(load(source)), encoding="utf-8")
            command.append(str(file))
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                yield _ready(process, strict)
            finally:
                _end(process)


def _ready(process: subprocess.Popen[bytes], strict: bool) -> Handle:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise ServerError(f"the server did not start: exit code {process.wait()}; see what it wrote to stderr")
    return Handle(json.loads(line)["url"], strict=strict, pid=process.pid)


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.close()  # the server watches it, and stops
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
