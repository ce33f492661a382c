"""`fakellm serve --workers N`: the server of several processes, and what each of its workers runs."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from fakellm.cli.beside.memory import keep_small
from fakellm.cli.log import log_to_stderr
from fakellm.cli.serving import PATIENCE, Supervised, end_by
from fakellm.engine.state import Limits, Time
from fakellm.server.connections.settings import Connections
from fakellm.server.garbage import paused, server_only
from fakellm.server.requests.control_access import ControlAccess

if TYPE_CHECKING:
    from fakellm.server.scenario_app import App

_CODE = "import sys; sys.path[:] = sys.argv[2:-2]; from fakellm.cli.workers import main; main()"


def several(
    workers: int, level: str | None, limits: Limits, time: Time, make: Callable[..., App]
) -> tuple[App, Supervised]:
    """An application whose state several workers share, and what makes their server; `make` makes the application with
    a `state`. `time`: that of quotas."""
    if sys.platform == "win32":
        raise click.UsageError("--workers needs a Unix system, where processes can inherit a listening socket")
    from fakellm.server.workers.watched_state import WatchedState

    state = WatchedState(limits, time)
    app = make(state=state)

    def supervised(speed: float, access: ControlAccess, connections: Connections, grace: float) -> Any:
        from fakellm.server.processes.workers import search_path
        from fakellm.server.workers.owner import Owner
        from fakellm.server.workers.supervisor import Supervisor
        from fakellm.server.workers.worker_app import WorkerSettings

        share = replace(limits, journal_bytes=limits.journal_bytes // workers)
        settings = WorkerSettings(app.seed, tuple(app.api_keys), share, speed, access, connections, grace)
        command = [sys.executable, "-c", _CODE, level or "", *search_path()]
        return Supervisor(Owner(app, state, settings), workers, command)

    return app, supervised


def main() -> None:
    """Runs a worker. The last two arguments are the descriptors of the listening socket and of the channel."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches this process too; the supervisor ends it
    log_to_stderr(sys.argv[1] or None)
    server_only()
    with paused():
        from fakellm.server.workers.worker import OneAtATime

    listener, channel = map(int, sys.argv[-2:])
    asyncio.run(_work(OneAtATime(fileno=listener), socket.socket(fileno=channel)))


async def _work(listener: socket.socket, end: socket.socket) -> None:
    from fakellm.server.workers.worker import ServingWorker

    worker = ServingWorker(end, lambda grace: end_by(grace + PATIENCE))
    # A signal to all processes of a group or container reaches this one too.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop, worker.grace)
    await worker.run(listener, keep_small())
