"""The command line. Owns options, messages and exit codes: 0 fine, 1 could not serve, 2 wrong usage or scenario."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from socket import socket
from typing import NoReturn

import click

from fakellm.app import App
from fakellm.errors import ScenarioError, ServerError
from fakellm.loader import load_files
from fakellm.scenario import Scenario
from fakellm.timing import checked_speed

GRACE = 5.0
"""Seconds that open streams are given to end after SIGTERM or SIGINT."""


def _speed(_context: click.Context, _option: click.Parameter, value: float) -> float:
    try:
        return checked_speed(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fakellm-server", prog_name="fakellm")
def main() -> None:
    """A deterministic fake LLM server for testing."""


@main.command()
@click.argument("scenarios", nargs=-1, type=click.Path(path_type=Path), metavar="[SCENARIO]...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free port.")
@click.option("--seed", default=0, show_default=True, help="All that is not scripted comes from it.")
@click.option(
    "--speed", default=1.0, show_default=True, callback=_speed, help="2 is twice as fast as written, 0 no delay at all."
)
@click.option("--strict", is_flag=True, help="Refuse what no rule meets, instead of answering with generated text.")
@click.option("--ready", type=click.Choice(["text", "json"]), default="text", help="How the first line is written.")
@click.option("--watch-stdin", is_flag=True, help="End when standard input closes.")
def serve(
    scenarios: tuple[Path, ...],
    host: str,
    port: int,
    seed: int,
    speed: float,
    strict: bool,
    ready: str,
    watch_stdin: bool,
) -> None:
    """Serve the rules of SCENARIO files and folders, in order; with none, answer with generated text."""
    logging.basicConfig(level=logging.WARNING, format="fakellm: %(message)s")
    try:
        scenario = load_files(scenarios) if scenarios else None
    except ScenarioError as error:
        _fail(str(error), 2)
    from fakellm.server import listen

    try:
        listener = listen(host, port)
    except ServerError as error:
        _fail(f"fakellm: {error}", 1)
    announce = _announce_json if ready == "json" else _announcer(scenario)
    asyncio.run(_serve(App(scenario, seed=seed, strict=strict), speed, listener, watch_stdin, announce))


async def _serve(app: App, speed: float, listener: socket, watch_stdin: bool, announce: Callable[[str], None]) -> None:
    from fakellm.server import Server

    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[float] = loop.create_future()

    def stop(grace: float) -> None:
        if not stopped.done():
            stopped.set_result(grace)

    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows: there the default handlers end the process
            loop.add_signal_handler(number, stop, GRACE)
    server = Server(app, speed)
    announce(await server.start(listener))
    if watch_stdin:
        threading.Thread(target=_watch, args=(loop, stop), daemon=True).start()
    await server.stop(await stopped)


def _watch(loop: asyncio.AbstractEventLoop, stop: Callable[[float], None]) -> None:
    """Reads standard input to its end: whoever started the server has closed it or is gone, so nobody reads on."""
    with suppress(OSError):  # it was never open
        while os.read(0, 65536):
            pass
    with suppress(RuntimeError):  # the loop has ended by itself
        loop.call_soon_threadsafe(stop, 0.0)


def _announce_json(url: str) -> None:
    print(json.dumps({"url": url, "pid": os.getpid()}), flush=True)


def _announcer(scenario: Scenario | None) -> Callable[[str], None]:
    what = f"{len(scenario.rules)} rules of {scenario.name}" if scenario else "generated replies"

    def announce(url: str) -> None:
        print(f"fakellm serves {what} at {url}/v1 (Ctrl+C ends it)", flush=True)

    return announce


def _fail(message: str, code: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)
