"""The command `fakellm`, and ``python -m fakellm``. A signal that comes during the first imports ends it quietly."""

from __future__ import annotations

import signal
import sys
from importlib import import_module


def main() -> None:
    """Runs the command line."""
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is signal.default_int_handler:  # else the process was started so that Ctrl+C does not reach it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        import_module("fakellm.base")
    except ImportError as error:  # the Python is too old, or the package is damaged: a traceback would hide the message
        sys.exit(f"fakellm: {error}")
    from fakellm.cli import main as command

    signal.signal(signal.SIGINT, interrupt)
    command(prog_name="fakellm")


if __name__ == "__main__":
    main()
