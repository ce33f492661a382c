"""The options for the connections of every command that serves: TLS, and how long a connection is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from fakellm.cli.beside.finite import finite
from fakellm.server.connections.settings import KEEP_ALIVE_SECONDS, Connections

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)

OPTIONS = (
    click.option(
        "--keep-alive",
        default=KEEP_ALIVE_SECONDS,
        show_default=True,
        type=click.FloatRange(0, 10**6, min_open=True),
        callback=finite,
        metavar="SECONDS",
        help="How long an idle connection is kept.",
    ),
    click.option(
        "--requests-per-connection",
        type=click.IntRange(1),
        metavar="N",
        help="Close each connection after so many requests.",
    ),
    click.option(
        "--tls-cert",
        type=_FILE,
        metavar="FILE",
        help="Serve HTTPS with this certificate, with the chain behind it, in PEM.",
    ),
    click.option("--tls-key", type=_FILE, metavar="FILE", help="Its private key, if that is in a file of its own."),
    click.option(
        "--tls",
        type=click.Choice(["self-signed"]),
        help="Serve HTTPS with a certificate that is made for this run; the first line names the file that clients "
        "must trust.",
    ),
)


@contextmanager
def connections(
    hosts: Sequence[str],
    keep_alive: float = KEEP_ALIVE_SECONDS,
    requests_per_connection: int | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    tls: str | None = None,
) -> Iterator[tuple[Connections, Path | None]]:
    """How connections are to be treated, and the file with the certificate that clients must trust, if there is one.
    `hosts`: the names of this server. Raises ServerError if a certificate cannot be used."""
    if tls and tls_cert:
        raise click.UsageError("--tls self-signed makes a certificate; leave out --tls-cert, or leave out --tls")
    if tls_key and not tls_cert:
        raise click.UsageError("--tls-key without --tls-cert: name the file with the certificate too")
    settings = Connections(keep_alive, requests_per_connection)
    if not (tls or tls_cert):
        yield settings, None
        return
    from msgspec.structs import replace

    from fakellm.server.connections.tls import context, self_signed

    if tls_cert:
        settings = replace(settings, certificate=tls_cert, key=tls_key)
        context(settings)  # what is wrong with it is known before anything else starts
        yield settings, None
        return
    with self_signed(hosts) as (certificate, authority):
        yield replace(settings, certificate=certificate), authority
