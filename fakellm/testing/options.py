"""Checks what is passed to the functions that start a server: a caller without a type checker may pass anything."""

from __future__ import annotations

from fakellm.apis.openai.api_keys import checked_key
from fakellm.wire.timing import checked_speed

MOST_WORKERS = 64
"""Processes that serve one port."""


def check_workers(workers: object) -> None:
    """Raises ValueError if a server cannot have so many."""
    if not isinstance(workers, int) or isinstance(workers, bool) or not 1 <= workers <= MOST_WORKERS:
        raise ValueError(f"workers must be a whole number from 1 to {MOST_WORKERS}, got {workers!r}")


def check_options(
    seed: object, strict: object, port: object, speed: object, api_key: object, host: object = "127.0.0.1"
) -> None:
    """Raises ValueError for the first option with a value that is not allowed."""
    for name, number in (("seed", seed), ("port", port)):
        if not isinstance(number, int) or isinstance(number, bool):
            raise ValueError(f"{name} must be a whole number, got {number!r}")
    if not isinstance(host, str) or not host:
        raise ValueError(f"host must be an address or a name of this machine, got {host!r}")
    if not isinstance(strict, bool):
        raise ValueError(f"strict must be True or False, got {strict!r}")
    if not isinstance(speed, (int, float)) or isinstance(speed, bool):
        raise ValueError(f"speed must be a number, 0 or more, got {speed!r}")
    checked_speed(speed)
    if api_key is not None:
        if not isinstance(api_key, str):
            raise ValueError(f"api_key must be a text or None, got {api_key!r}")
        checked_key(api_key)
