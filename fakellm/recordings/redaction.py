"""Removes what must not be recorded: keys, tokens, cookies, organisations. It knows no files and no sockets.

Headers with such a secret are left out. The secret is also searched everywhere else: providers repeat a wrong key in
their error, and name the organisation when its limit is reached. There it is overwritten by as many other characters,
so all lengths and all boundaries between chunks stay the same. `base.secrets` knows what is secret.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, pairwise
from urllib.parse import parse_qsl, unquote

import msgspec
from msgspec.structs import replace

from fakellm.base.secrets.names import secret_header, secret_parameter
from fakellm.base.secrets.search import SHORTEST as SHORTEST
from fakellm.base.secrets.search import cover, mask, named_values
from fakellm.recordings.cassette import Headers, Interaction, RecordedRequest
from fakellm.recordings.content_codings import MOST_BYTES
from fakellm.wire.plan import Frame

_URL = re.compile(r"((?:[A-Za-z][A-Za-z0-9+.-]*:)?//)?([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_PAIR = re.compile(r'([A-Za-z_-]{1,40})\s{0,9}=\s{0,9}"?([^\s",;]++)')
_IN_AUTHORIZATION = {"response", "credential", "nonce", "cnonce"}
"""Parameters of `Authorization` (RFC 7616; the signatures of AWS) that hold secrets, besides those with such a name."""


class UnsearchableError(ValueError):
    """A body is compressed, so that no secret in it could be found."""


def redacted(interaction: Interaction, secrets: Iterable[str] = ()) -> Interaction:
    """The interaction without its secrets, and without `secrets`, wherever they appear.

    A header with a secret is removed; elsewhere REDACTED… of the same length stands for it. Raises UnsearchableError if
    a body is compressed.
    """
    request, response = interaction.request, interaction.response
    body = b"".join(frame.data for frame in response.frames)
    _must_be_plain(request.headers, request.body)
    _must_be_plain(response.headers, body)
    covered = cover({*secrets, *_secrets(request), *_in_headers((*response.headers, *response.trailers))})
    return Interaction(
        _request(request, covered),
        replace(
            response,
            headers=_kept(response.headers, covered),
            trailers=_kept(response.trailers, covered),
            frames=_frames(tuple(response.frames), body, covered),
        ),
    )


def redacted_request(request: RecordedRequest) -> RecordedRequest:
    """The request without its secrets, as `redacted` leaves it."""
    return _request(request, cover(_secrets(request)))


def redacted_url(url: str) -> str:
    """A URL, or a path with a query, without its secrets."""
    return cover(_in_url(url))(_without_secrets(url))


def redacted_json(text: bytes, secrets: Iterable[str] = ()) -> bytes:
    """JSON without its secrets and `secrets`; still JSON, of the same length unless a secret lies across its syntax."""
    found = cover(secrets)(text.decode("latin-1")).encode("latin-1")
    if found != text:
        try:
            found.decode()
            msgspec.json.decode(found, type=msgspec.Raw)  # checks it without making objects
        except (ValueError, RecursionError):
            return msgspec.json.encode(found.decode("utf-8", "backslashreplace"))
    return found


def covering(request: RecordedRequest) -> Callable[[str], str]:
    """A function that overwrites the secrets of a request in a text about it."""
    secrets = cover(_secrets(request))
    # The text may have any characters, and the search knows bytes.
    return lambda text: (
        secrets(text.encode(errors="surrogatepass").decode("latin-1")).encode("latin-1").decode(errors="surrogatepass")
    )


def outer_secrets(headers: Headers, url: str) -> frozenset[str]:
    """The secrets in the headers and the URL of a request."""
    return frozenset([*_in_headers(headers), *_in_url(url)])


def _request(request: RecordedRequest, covered: Callable[[str], str]) -> RecordedRequest:
    url = covered(_without_secrets(request.url))
    body = covered(request.body.decode("latin-1")).encode("latin-1")
    return replace(request, url=url, headers=_kept(request.headers, covered), body=body)


def _kept(headers: Headers, covered: Callable[[str], str]) -> Headers:
    return tuple((name, covered(value)) for name, value in headers if not secret_header(name))


def _must_be_plain(headers: Headers, body: bytes) -> None:
    codings = [value.strip().lower() for name, value in headers if name.lower() == "content-encoding"]
    if not body or not any(coding not in ("", "identity") for coding in codings):
        return
    try:
        body.decode()  # then it is not compressed, whatever the header says
    except UnicodeDecodeError:
        reason = f"it is damaged, incomplete, in an unknown coding, or expands to more than {MOST_BYTES:,} bytes"
        raise UnsearchableError(f"its body in {', '.join(codings)} cannot be searched for secrets: {reason}") from None


def _secrets(request: RecordedRequest) -> set[str]:
    values = named_values(request.body.decode("latin-1"))
    # A value in a body may be an example or a description; only what could be a key is searched elsewhere.
    keys = {value for value in values if len(value) >= 12 and re.search("[0-9]", value) and not re.search(r"\s", value)}
    return {*outer_secrets(request.headers, request.url), *keys}


def _in_headers(headers: Headers) -> Iterator[str]:
    """The secrets in headers: the key of `Bearer sk-1`, the values of a cookie, the password of `Basic …`, and those in
    URLs of any other header, such as `Location`."""
    for name, value in headers:
        if secret_header(name):
            pairs = [pair.strip().partition("=")[2] for pair in value.split(";")]
            found = [value, *value.split(), *(pairs[:1] if name.lower() == "set-cookie" else pairs), *_basic(value)]
            found += [text for word, text in _PAIR.findall(value) if word.lower() in _IN_AUTHORIZATION or _secret(word)]
            yield from found
            yield from map(_unquoted, found)
        else:
            yield from named_values(value)


def _secret(name: str) -> bool:
    return secret_header(name) or secret_parameter(name)


def _basic(value: str) -> list[str]:
    """The user with the password, and the password alone, of `Basic …` (RFC 7617)."""
    scheme, _, encoded = value.strip().partition(" ")
    try:
        decoded = b64decode(encoded.strip() + "=" * (-len(encoded.strip()) % 4), validate=True).decode("latin-1")
    except ValueError:
        return []
    if scheme.lower() != "basic":
        return []
    return [decoded, decoded.partition(":")[2]]


def _in_url(url: str) -> Iterator[str]:
    _, user, query, _ = _parts(url)
    found = [*(value for name, value in parse_qsl(query.lstrip("?")) if secret_parameter(name)), *user.split(":")]
    yield from found
    yield from map(_unquoted, found)


def _parts(url: str) -> tuple[str, str, str, str]:
    """What comes before the query, without a user; the user and password; the query; the fragment."""
    found = _URL.fullmatch(url)
    scheme, place, query, fragment = found.groups(default="") if found else ("", url, "", "")
    user = ""
    if scheme:
        host, slash, path = place.partition("/")
        user, _, host = host.rpartition("@")
        place = host + slash + path
    return scheme + place, user, query, fragment


def _without_secrets(url: str) -> str:
    """The URL without a user, and with the secrets of its query overwritten; short ones too, because their names
    identify them."""
    place, _, query, fragment = _parts(url)
    pairs = [pair.partition("=") for pair in query[1:].split("&")]
    covered = "&".join(
        name + sign + (mask(value) if secret_parameter(_unquoted(name)) else value) for name, sign, value in pairs
    )
    return place + query[:1] + covered + fragment


def _unquoted(text: str) -> str:
    return unquote(text, encoding="latin-1")


def _frames(frames: tuple[Frame, ...], body: bytes, covered: Callable[[str], str]) -> tuple[Frame, ...]:
    """The frames with secrets overwritten, including those across a boundary."""
    # Byte by byte, as Latin-1: bytes that are not text stay the same, and secrets are ASCII.
    body = covered(body.decode("latin-1")).encode("latin-1")
    edges = accumulate((len(frame.data) for frame in frames), initial=0)
    return tuple(
        replace(frame, data=body[start:end]) for frame, (start, end) in zip(frames, pairwise(edges), strict=True)
    )
