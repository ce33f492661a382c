"""What commands that serve share: their options, the loop that runs a server, and how a command ends.

Exit codes: 0 success, 1 the server failed, 2 wrong usage or a file that cannot be read.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack, suppress
from typing import Any, NoReturn, TypeVar

import click

from fakellm.base.errors import ServerError
from fakellm.cli.beside.connection_options import OPTIONS, connections
from fakellm.cli.beside.finite import finite
from fakellm.cli.beside.memory import keep_small
from fakellm.server.connections.settings import Connections
from fakellm.server.garbage import paused, server_only
from fakellm.server.requests.browsers import checked_host
from fakellm.server.requests.control_access import ControlAccess
from fakellm.server.requests.control_token import VARIABLE, checked_token
from fakellm.wire.spread import MOST_SECONDS
from fakellm.wire.timing import checked_speed

GRACE = 5.0
"""Seconds that open streams have to end after SIGTERM or SIGINT, unless `--grace` sets others."""

PATIENCE = 5.0
"""Seconds that everything else then has to end."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()))
"""What ends the server; SIGHUP comes when its terminal closes, and under `nohup` it is ignored."""

Command = TypeVar("Command", bound=Callable[..., Any])


def _speed(_context: click.Context, _option: click.Parameter, value: float) -> float:
    try:
        return checked_speed(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _hosts(_context: click.Context, _option: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(map(checked_host, names))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _token(_context: click.Context, _option: click.Parameter, token: str | None) -> str | None:
    try:
        return None if token is None else checked_token(token)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


_SERVING = (
    click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
    click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free port."),
    click.option(
        "--allow-host",
        "allow_hosts",
        multiple=True,
        callback=_hosts,
        metavar="NAME",
        help="Serve control routes under this name too, besides localhost, IP addresses and that of --host; may be "
        "given several times.",
    ),
    click.option(
        "--control-token",
        envvar=VARIABLE,
        callback=_token,
        metavar="TOKEN",
        help=f"Refuse requests to control routes without this token; better set {VARIABLE}, which no list of processes "
        "shows.",
    ),
    click.option("--no-page", "page", flag_value=False, default=True, help="Do not serve the page for browsers."),
    click.option(
        "--speed",
        default=1.0,
        show_default=True,
        callback=_speed,
        help="2 is twice as fast as written, 0 no delay at all.",
    ),
    click.option(
        "--grace",
        default=GRACE,
        show_default=True,
        type=click.FloatRange(0, MOST_SECONDS),
        callback=finite,
        metavar="SECONDS",
        help="How long open streams may go on after SIGTERM or Ctrl+C.",
    ),
    *OPTIONS,
    click.option("--ready", type=click.Choice(["text", "json"]), default="text", help="The form of the first line."),
    click.option("-v", "--verbose", "level", flag_value="INFO", help="Log a line for each request."),
    click.option("-q", "--quiet", "level", flag_value="ERROR", help="Log only errors of the server."),
    click.option("--watch-stdin", is_flag=True, help="End when standard input closes."),
)


def serving(command: Command) -> Command:
    """The command with the options of every command that serves; `run` takes them by the same names."""
    for option in reversed(_SERVING):
        command = option(command)
    return command


Supervised = Callable[[float, ControlAccess, Connections, float], Any]
"""Makes a server of several processes, for the speed, what control routes require, how connections are treated, and the
seconds that open streams have at the end."""

Beside = Callable[[Any], Coroutine[Any, Any, None]]
"""A task that runs beside a server and gets it as its argument."""


async def _nothing(_server: Any) -> None:
    """The task of servers that need none."""


def run(
    app: Any,
    what: str,
    *,
    host: str,
    port: int,
    speed: float,
    ready: str,
    watch_stdin: bool,
    grace: float = GRACE,
    allow_hosts: Sequence[str] = (),
    control_token: str | None = None,
    page: bool = True,
    proxy: Callable[[], Any] | None = None,
    supervised: Supervised | None = None,
    beside: Beside = _nothing,
    **options: Any,
) -> None:
    """Serves `app` until a signal or the end of standard input ends it; the first line of output states what and where.

    `proxy` is called once the loop runs, and returns the object that passes requests on to a server behind this one.
    `options`: those of `connection_options`.
    `supervised` makes the server, if that has several processes.
    """
    server_only()
    with paused():
        from fakellm.server.connections.listening import listen
        from fakellm.server.http_server import Server

    hosts = {*allow_hosts, host.lower()}
    ending = ExitStack()
    try:
        settings, authority = ending.enter_context(connections([*hosts], **options))
        listener = listen(host, port)
    except ServerError as error:
        ending.close()
        fail(f"fakellm: {error}", 1)

    def announce(url: str) -> None:
        if ready == "json":
            trusted = {"ca": str(authority)} if authority else {}
            print(json.dumps({"url": url, "pid": os.getpid(), **trusted}), flush=True)
        else:
            print(f"fakellm {what} at {url}/v1 (Ctrl+C ends it)")
            print(f"SDKs of Anthropic, Google and Ollama take {url}")
            if page:
                print(f"To watch the requests, open {url}/_fakellm/ in a browser")
            if authority:
                print(f"Clients must trust {authority} (SSL_CERT_FILE, NODE_EXTRA_CA_CERTS)")
            sys.stdout.flush()

    access = ControlAccess(frozenset(hosts), control_token, page)

    def make() -> Any:
        if supervised:
            return supervised(speed, access, settings, grace)
        return Server(app, speed, proxy and proxy(), access, settings)

    before = [(number, signal.getsignal(number)) for number in _SIGNALS]
    try:
        with ending:
            asyncio.run(_serve(make, listener, watch_stdin, grace, announce, beside))
    except ServerError as error:  # the certificate cannot be used, or a worker did not start
        fail(f"fakellm: {error}", 1)
    finally:
        with suppress(ValueError):  # only the main thread has signals
            for number, handler in before:
                if signal.getsignal(number) is not signal.SIG_DFL:  # else a signal is ending the process
                    signal.signal(number, handler)


async def _serve(
    make: Callable[[], Any],
    listener: Any,
    watch_stdin: bool,
    grace: float,
    announce: Callable[[str], None],
    beside: Beside,
) -> None:
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[float] = loop.create_future()

    def stop(grace: float) -> None:
        if not stopped.done():
            stopped.set_result(grace)

    def signalled(_number: int, _frame: Any) -> None:
        end_by(grace + PATIENCE)
        with suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(stop, grace)

    with suppress(ValueError):  # only the main thread has signals
        for number in _SIGNALS:
            if number in (signal.SIGTERM, signal.SIGINT) or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signalled)
    server = make()
    announce(await server.start(listener))
    tidying = loop.create_task(keep_small())
    task = loop.create_task(beside(server))

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception():
            stop(grace)

    task.add_done_callback(ended)
    if watch_stdin:
        threading.Thread(target=_watch, args=(loop, stop), daemon=True).start()
    patience = await stopped
    running = not task.done()
    task.cancel()
    tidying.cancel()
    await server.stop(patience)
    if not running:
        task.result()  # an error in the task ended the server, so the command fails with it


def end_by(seconds: float) -> None:
    """From now on, a signal ends the process at once, and after so many seconds the process ends by itself, even if
    something holds up the event loop or the interpreter."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    faulthandler.dump_traceback_later(seconds, exit=True, file=os.open(os.devnull, os.O_WRONLY))


def _watch(loop: asyncio.AbstractEventLoop, stop: Callable[[float], None]) -> None:
    """Reads standard input to its end: the process that started the server has then closed it or is gone."""
    with suppress(OSError):  # standard input was never open
        while os.read(0, 65536):
            pass
    with suppress(RuntimeError):  # the loop has ended by itself
        loop.call_soon_threadsafe(stop, 0.0)


def fail(message: str, code: int) -> NoReturn:
    """Ends the command with a message on standard error."""
    click.echo(message, err=True)
    sys.exit(code)
