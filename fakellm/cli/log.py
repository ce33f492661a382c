"""Writes the log to standard error, from a thread of its own: if nobody reads it, the server does not wait.

Owns how much is kept until it can be written; what is more is dropped, and counted.
"""

from __future__ import annotations

import atexit
import logging
import os
from queue import Empty, Full, Queue
from threading import Event, Thread

from fakellm.base.words.count import count

MOST_LINES = 1_000
"""Messages that are kept until they can be written."""
PATIENCE = 1.0
"""Seconds that the process waits at its end for what is not written yet."""


def log_to_stderr(level: str | None) -> None:
    """Logs warnings and errors, of all libraries too; of fakellm itself, what this level sets, if it is not None."""
    logging.getLogger("fakellm").setLevel(level or logging.NOTSET)
    root = logging.getLogger()
    if root.handlers:  # as logging.basicConfig does: an embedding program has its own
        return
    handler = StderrHandler()
    handler.setFormatter(logging.Formatter("fakellm: %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    atexit.register(handler.flush)


class StderrHandler(logging.Handler):
    """Passes messages on to the thread that writes them to `descriptor`."""

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._waiting: Queue[str | Event] = Queue(MOST_LINES)
        self._dropped = 0
        Thread(target=self._write, name="fakellm-log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a message until it is written; drops it if too many are waiting."""
        try:
            self._waiting.put_nowait(self.format(record) + "\n")
        except Full:
            self._dropped += 1

    def flush(self) -> None:
        """Waits until everything so far is written, but not for long."""
        written = Event()
        try:
            self._waiting.put_nowait(written)
        except Full:
            return
        written.wait(PATIENCE)

    def _write(self) -> None:
        while True:
            item = self._waiting.get()
            if isinstance(item, Event):
                item.set()
                continue
            dropped, self._dropped = self._dropped, 0
            missing = f"{count(dropped, 'message')} {'is' if dropped == 1 else 'are'} missing"
            note = f"fakellm: {missing} here, because nobody read standard error\n"
            data = (item + (note if dropped else "")).encode("utf-8", "backslashreplace")
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except OSError:  # nobody will ever read it
                self._discard()

    def _discard(self) -> None:
        try:
            while True:
                item = self._waiting.get_nowait()
                if isinstance(item, Event):
                    item.set()
        except Empty:
            pass
