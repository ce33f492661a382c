"""Starts a fake server in a thread of this process or in its own process. Both give the same handle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import IO, TYPE_CHECKING, Literal, Unpack

import msgspec

from fakellm.base.errors import ServerError
from fakellm.engine.resolve import shown
from fakellm.recordings.cassette import Cassette
from fakellm.scenarios.loader import ScenarioSource, dump_json, load
from fakellm.server.connections.settings import Connections
from fakellm.server.hosting import Hosted
from fakellm.server.requests.control_access import ControlAccess
from fakellm.server.requests.control_token import VARIABLE
from fakellm.testing.functions import Raised, raise_first
from fakellm.testing.handle import Handle, Home
from fakellm.testing.options import check_options, check_workers

if TYPE_CHECKING:
    from fakellm.engine.engine import Engine, Vary
    from fakellm.engine.state import LimitOptions
    from fakellm.scenarios.scenario import Scenario


STOP_PATIENCE = 10.0
"""Seconds that such a server has to stop."""

START_PATIENCE = 60.0
"""Seconds that a server in its own process has to start."""


@contextmanager
def serve(
    source: ScenarioSource | None = None,
    *,
    seed: int = 0,
    strict: bool = False,
    host: str = "127.0.0.1",
    port: int = 0,
    speed: float = 1.0,
    api_key: str | None = None,
    allow_hosts: str | Sequence[str] = (),
    control_token: str | None = None,
    page: bool = True,
    tls: bool = False,
    **limits: Unpack[LimitOptions],
) -> Iterator[Handle]:
    """A server in a thread of this process, on `host` and `port`, by default 127.0.0.1 and a free one. With `host`
    0.0.0.0, a container reaches it too.

    Without a scenario, it answers with generated text. `strict`: a request that no rule matches gets a 404 with the
    reason instead of generated text. `speed`: 2 is twice as fast as the scenario's timing, 0 means no delay. `api_key`:
    requests without it get a 401. `allow_hosts`: names under which a client may use the control routes, besides
    `localhost` and IP addresses. `control_token`: requests to control routes without it get a 401, and the handle sends
    it; by default that of the environment variable FAKELLM_CONTROL_TOKEN, if it is set. `page`: whether the server has
    the page for browsers, at `/_fakellm/`. `tls`: HTTPS, with a certificate that is made for this server; clients must
    trust the file `ca` of the handle. `limits` bound what the server keeps: `cache_bytes`, `journal_bytes`,
    `stored_bytes`, `max_sessions`, `max_attempts`; they are in docs/reference/limits.md. What the function of a reply
    raises is also raised at the end of the block.
    Raises ScenarioError, ServerError when it cannot listen on the port, TypeError for an unknown limit, and ValueError
    when an option or a limit has a value that is not allowed, a header cannot hold the key or the token, or a host is
    not a name.
    """
    from fakellm.engine.state import Limits
    from fakellm.server.scenario_app import App

    check_options(seed, strict, port, speed, api_key, host)
    access = _access(allow_hosts, control_token, page)
    keys = () if api_key is None else (api_key,)
    raised = Raised()
    app = App(
        None if source is None else raised.watched(load(source), ""),
        seed=seed,
        strict=strict,
        api_keys=keys,
        limits=Limits(**limits),
    )
    with ExitStack() as stack:
        connections, ca = Connections(), None
        if tls:
            from fakellm.server.connections.tls import self_signed

            certificate, ca = stack.enter_context(self_signed([host]))
            connections = Connections(certificate=certificate)
        hosted = stack.enter_context(Hosted(app, port, speed, None, access, host, connections))

        def put(session: str, scenario: Scenario, strict: bool) -> None:
            engine = app.compiled(raised.watched(scenario, session), strict)  # here: the server goes on meanwhile
            hosted.change(lambda: app.put(session, engine))

        def add(session: str, scenario: Scenario, number: int | None, strict: bool) -> int:
            watched = raised.watched(scenario, session)
            served: Engine | None = None
            engine: Engine | None = None

            def swap() -> None:
                nonlocal served, engine
                before, served = served, app.session(session).content
                if engine and served is before:
                    app.change(session, engine)
                else:  # at first, and if somebody else has changed the session in the meantime
                    engine = None

            hosted.change(swap)
            while engine is None:
                assert served
                engine = added = app.extended(served, watched, number, strict)
                hosted.change(swap)
            return len(added.ruleset.rules)

        def requests() -> dict[str, int]:
            counts: dict[str, int] = {}
            hosted.change(lambda: counts.update({name: each.journal.count for name, each in app.sessions().items()}))
            return counts

        def sizes(session: str) -> tuple[int, int]:
            found = app.find(session)
            scenario = found.content.ruleset.scenario if found else None
            return len(scenario.rules) if scenario else 0, len(found.journal) if found else 0

        def vary(session: str, how: Vary | None) -> None:
            hosted.change(lambda: app.vary(session, how))

        try:
            home = Home(put, hosted.thread, raised, vary, add, requests, sizes)
            yield Handle(hosted.url, strict=strict, home=home, token=access.token, ca=ca)
        except BaseException as error:
            for each in raised.take():
                error.add_note(f"fakellm: the function of a reply raised {shown(each)}")
            raise
    raise_first(raised.take())


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

    ignore: places in JSON bodies to ignore, such as ``metadata.run_id``. again: after all recordings of a request have
    been served, `repeat` the last, or `fail` with a 404. timing: wait as long as recorded, divided by `speed`. Raises
    CassetteError, ServerError if it cannot listen on the port, and ValueError if `ignore` or `speed` is not valid.
    """
    from fakellm.recordings.formats import read_file
    from fakellm.server.replay_app import Replay

    check_options(0, False, port, speed, None)
    cassettes = [each if isinstance(each, Cassette) else read_file(Path(each)) for each in recordings]
    with Hosted(Replay(cassettes, ignore=ignore, again=again, timing=timing), port, speed) as hosted:
        yield Handle(hosted.url, home=Home(None, hosted.thread))


@contextmanager
def record(upstream: str, file: str | Path, *, missing_only: bool = False, port: int = 0) -> Iterator[Handle]:
    """A server in a thread of this process that passes requests on to `upstream` and records them in `file`.

    It does what `fakellm record` does: `upstream` is the base URL of an API, such as ``https://api.openai.com/v1``;
    with `missing_only`, requests that the file has are answered from it. Raises CassetteError if the file is not a
    recording in fakellm's format or cannot be written, ServerError if it cannot listen on the port, and ValueError if
    `upstream` is not such a URL.
    """
    from fakellm.recordings.recording_file import RecordingFile
    from fakellm.recordings.upstream_url import checked_upstream
    from fakellm.server.recording_proxy import Recorder
    from fakellm.server.replay_app import Replay

    checked_upstream(upstream)
    recording = RecordingFile(Path(file))
    app = Replay([recording.cassette] if missing_only else [], relay=True)
    learn = app.recordings.add if missing_only else None
    # Closed here too: a server that cannot listen has no recorder, and the file would stay locked.
    with closing(recording), Hosted(app, port, 1.0, lambda: Recorder(upstream, recording, learn)) as hosted:
        yield Handle(hosted.url, home=Home(None, hosted.thread))


@contextmanager
def spawn(
    source: ScenarioSource | None = None,
    *,
    seed: int = 0,
    strict: bool = False,
    host: str = "127.0.0.1",
    port: int = 0,
    speed: float = 1.0,
    api_key: str | None = None,
    allow_hosts: str | Sequence[str] = (),
    workers: int = 1,
    control_token: str | None = None,
    page: bool = True,
    tls: bool = False,
    **limits: Unpack[LimitOptions],
) -> Iterator[Handle]:
    """The same server in its own process, which ends with this block, and with this process in whatever way that ends.
    `workers`: how many processes serve its port.

    Raises what `serve` raises, and ServerError if the process does not serve within 60 seconds.
    """
    from fakellm.engine.state import Limits

    check_options(seed, strict, port, speed, api_key, host)
    check_workers(workers)
    checked = msgspec.structs.asdict(Limits(**limits))
    command = [sys.executable, "-m", "fakellm", "serve", "--host", host, "--port", str(port), "--seed", str(seed)]
    command += ["--speed", str(speed)]
    command += [] if api_key is None else [f"--api-key={api_key}"]
    command += [] if workers == 1 else ["--workers", str(workers)]
    access = _access(allow_hosts, control_token, page)
    command += [f"--allow-host={name}" for name in access.hosts]
    command += [] if access.page else ["--no-page"]
    command += ["--ready", "json", "--watch-stdin", *(["--strict"] if strict else [])]
    command += ["--tls", "self-signed"] if tls else []
    command += [f"--{name.replace('_', '-')}={checked[name]}" for name in limits]
    command += [] if source is None else ["--scenario-line"]
    line = b"" if source is None else dump_json(load(source)).encode() + b"\n"
    environment = os.environ if access.token is None else {**os.environ, VARIABLE: access.token}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, env=environment) as process:
        _spawned.add(process)
        try:
            Thread(target=_send, args=(process.stdin, line), daemon=True).start()
            yield _ready(process, strict, access.token)
        finally:
            _spawned.discard(process)
            _end(process)


def _send(sink: IO[bytes], data: bytes) -> None:
    with suppress(OSError):  # the process has ended, and what waits for it to be ready notices
        while data:
            data = data[sink.write(data) :]


def _access(hosts: str | Sequence[str], token: object, page: object) -> ControlAccess:
    """Who may use the control routes. The token is by default that of the environment, if it has one."""
    token = os.environ.get(VARIABLE) or None if token is None else token
    if not isinstance(token, str | None):
        raise ValueError(f"control_token must be a text or None, got a value of type {type(token).__name__}")
    if not isinstance(page, bool):
        raise ValueError(f"page must be True or False, got {page!r}")
    return ControlAccess.of(hosts, token, page)


_spawned: set[subprocess.Popen[bytes]] = set()


def _let_go() -> None:
    """In a forked process: closes its copies of the pipes by which servers notice that the process that started them
    has ended. It cannot use these servers' standard input, only hold it open."""
    for process in _spawned:
        if process.stdin:
            with suppress(OSError):
                process.stdin.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def _ready(process: subprocess.Popen[bytes], strict: bool, token: str | None) -> Handle:
    """The handle, after the process has printed that it serves. Its standard error is this process's."""
    assert process.stdout
    printed, line = bytearray(), Event()
    reader = Thread(target=_read_line, args=(process.stdout, printed, line), daemon=True)
    reader.start()
    if not line.wait(START_PATIENCE):
        process.kill()
        printed_so_far = f"it printed {bytes(printed)!r}" if printed else "it printed nothing"
        message = f"{printed_so_far} in {START_PATIENCE:g} s, and was killed"
        raise ServerError(f"the server did not start: {message}; see what it wrote to stderr")
    if not printed:
        raise ServerError(f"the server did not start: exit code {process.wait()}; see what it wrote to stderr")
    try:
        ready = json.loads(printed)
        url, ca = ready["url"], ready.get("ca")
    except (ValueError, TypeError, KeyError, AttributeError):
        process.kill()
        raise ServerError(f"the server did not start: it printed {bytes(printed)!r}, and was killed") from None
    return Handle(url, strict=strict, pid=process.pid, token=token, ca=ca and Path(ca))


def _read_line(output: IO[bytes], printed: bytearray, line: Event) -> None:
    """Reads the first line that a process prints, or all output if it ends without a line; then sets `line`."""
    while b"\n" not in printed:
        piece = os.read(output.fileno(), 4096)
        printed += piece
        if not piece:
            break
    line.set()


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.close()  # the server watches it, and stops
    try:
        process.wait(timeout=STOP_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
