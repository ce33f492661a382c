"""`fakellm serve --state redis://HOST`: a server that shares its state with others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from fakellm.base.errors import ScenarioError
from fakellm.cli.serving import fail

if TYPE_CHECKING:
    from fakellm.server.redis_state.redis_app import RedisApp

SCHEMES = ("redis://", "rediss://", "unix://")


def sharing(
    url: str, make: Callable[[Callable[..., Any]], RedisApp]
) -> tuple[RedisApp, Callable[[float, Any, Any, float], Any]]:
    """An application whose state is in the Redis at this URL, and what makes its server; `make` makes the application
    of a class."""
    if not url.startswith(SCHEMES):
        raise click.UsageError(f"--state takes the URL of a Redis, such as redis://localhost:6379/0, got {url!r}")
    try:
        from fakellm.server.redis_state.redis_app import RedisApp
        from fakellm.server.redis_state.redis_server import RedisServer
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "redis":
            raise
        fail("fakellm: --state needs the package redis: pip install 'fakellm-server[redis]'", 1)
    try:
        app = make(RedisApp)
    except ScenarioError as error:
        fail(str(error), 2)
    except ValueError as error:
        raise click.UsageError(f"--state: {error}") from None

    def supervised(speed: float, access: Any, connections: Any, _grace: float) -> Any:
        return RedisServer(app, speed, access, connections)

    return app, supervised
