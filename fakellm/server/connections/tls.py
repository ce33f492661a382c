"""TLS for a server: with a certificate of the user's own, or with one that is made for this run.

Owns what is read and written for it. Knows no server and no command.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from fakellm.base.errors import ServerError
from fakellm.server.connections.settings import Connections


def context(settings: Connections) -> ssl.SSLContext | None:
    """What a server needs for TLS; None for plain HTTP. Raises ServerError if the certificate cannot be used."""
    if settings.certificate is None:
        return None
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.set_alpn_protocols(["http/1.1"])
    try:
        found.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        files = f"{settings.certificate}" if settings.key is None else f"{settings.certificate} with {settings.key}"
        reason = getattr(error, "strerror", None) or error
        raise ServerError(f"cannot use the certificate {files}: {str(reason).lower()}") from None
    return found


@contextmanager
def self_signed(hosts: Iterable[str]) -> Iterator[tuple[Path, Path]]:
    """A certificate for this machine and these hosts, from an authority that is made for it. Within this block, the
    first file has the certificate and its key, and the second that of the authority. Raises ServerError if trustme is
    not installed."""
    try:
        import trustme
    except ImportError:
        message = "a self-signed certificate needs the package trustme: pip install 'fakellm-server[tls]'"
        raise ServerError(message) from None
    authority = trustme.CA()
    made = authority.issue_cert(*dict.fromkeys(["localhost", "127.0.0.1", "::1", *hosts]))
    with TemporaryDirectory(prefix="fakellm-tls-") as folder:  # only its owner can read it
        certificate, ca = Path(folder, "server.pem"), Path(folder, "ca.pem")
        made.private_key_and_cert_chain_pem.write_to_path(certificate)
        authority.cert_pem.write_to_path(ca)
        yield certificate, ca
