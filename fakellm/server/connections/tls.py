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


def loaded(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """TLS with the certificate, and the chain behind it, in a file; `key` may be in the same one. Raises ServerError if
    they cannot be used."""
    context = _context()
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        files = f"{certificate}" if key is None else f"{certificate} with {key}"
        reason = getattr(error, "strerror", None) or error
        raise ServerError(f"cannot use the certificate {files}: {str(reason).lower()}") from None
    return context


@contextmanager
def self_signed(hosts: Iterable[str]) -> Iterator[tuple[ssl.SSLContext, Path]]:
    """TLS with a certificate for this machine and these hosts, from an authority that is made for it; and the
    file that has the authority's certificate within this block. Raises ServerError if trustme is not installed."""
    try:
        import trustme
    except ImportError:
        message = "a self-signed certificate needs the package trustme: pip install 'fakellm-server[tls]'"
        raise ServerError(message) from None
    context, authority = _context(), trustme.CA()
    names = dict.fromkeys(["localhost", "127.0.0.1", "::1", *hosts])
    authority.issue_cert(*names).configure_cert(context)
    with TemporaryDirectory(prefix="fakellm-tls-") as folder:
        file = Path(folder, "ca.pem")
        authority.cert_pem.write_to_path(file)
        yield context, file


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    return context
