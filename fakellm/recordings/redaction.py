"""Removes what must not be recorded: keys, tokens, cookies, organisations. It knows no files and no sockets.

Headers with such a secret are left out. The secret is also searched everywhere else: providers repeat a wrong key in
their error, and name the organisation when its limit is reached. There it is overwritten by as many other characters,
so all lengths and all boundaries between chunks stay the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from itertools import accumulate, pairwise
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from msgspec.structs import replace

from fakellm.recordings.cassette import Headers, Interaction
from fakellm.wire.plan import Frame

SHORTEST = 8
"""Anything shorter is not treated as a secret: a test's key `any` is part of half of all texts."""

_SECRET_HEADER = re.compile(
    r"(set-)?cookie2?"
    r"|(.*[-_])?(authorization|auth|api-?key|key|token|secret|password|organi[sz]ation([-_]id)?|project([-_]id)?)",
    re.IGNORECASE,
)
_SECRET_PARAMETER = re.compile(r"(.*[-_])?(key|api-?key|token|secret|password|sig|signature)", re.IGNORECASE)
_LIKE_A_SECRET = re.compile(r"\b(?:sk|org|proj)[-_](?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{16,}")
"""Keys and ids in the form of OpenAI and others, in a header or not; with a digit, because words have none."""


def redacted(interaction: Interaction, secrets: Iterable[str] = ()) -> Interaction:
    """The interaction without its secrets, and without `secrets`, wherever they appear.

    A header with a secret is removed; elsewhere REDACTED… of the same length stands for it.
    """
    request, response = interaction.request, interaction.response
    found = {*secrets, *_in_headers(request.headers), *_in_headers(response.headers), *_in_url(request.url)}
    cover = _cover(found)

    def kept(headers: Headers) -> Headers:
        return tuple((name, cover(value)) for name, value in headers if not _SECRET_HEADER.fullmatch(name))

    parts = urlsplit(request.url)
    host = parts.netloc.rpartition("@")[2]  # without a user and a password
    url = urlunsplit(parts._replace(netloc=host, query=_query(parts.query)))
    return Interaction(
        replace(request, url=cover(url), headers=kept(request.headers), body=_covered(request.body, cover)),
        replace(response, headers=kept(response.headers), frames=_frames(tuple(response.frames), cover)),
    )


def _in_headers(headers: Headers) -> list[str]:
    """The secrets in headers: the key of `Bearer sk-1`, the values of a cookie."""
    found = []
    for name, value in headers:
        if _SECRET_HEADER.fullmatch(name):
            pairs = [pair.strip().partition("=")[2] for pair in value.split(";")]
            found += [value, *value.split(), *(pairs[:1] if name.lower() == "set-cookie" else pairs)]
    return found


def _in_url(url: str) -> list[str]:
    parts = urlsplit(url)
    query = [value for name, value in parse_qsl(parts.query) if _SECRET_PARAMETER.fullmatch(name)]
    return [*query, *parts.netloc.rpartition("@")[0].split(":")]


def _query(query: str) -> str:
    """The query with its secrets overwritten; short ones too, because their names identify them."""
    pairs = [pair.partition("=") for pair in query.split("&")]
    return "&".join(
        name + sign + (_mask(value) if _SECRET_PARAMETER.fullmatch(name) else value) for name, sign, value in pairs
    )


def _cover(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that overwrites these secrets, in their spellings in URLs and JSON too, and what looks like one."""
    known = [secret for secret in secrets if len(secret) >= SHORTEST]
    forms = {form for secret in known for form in (secret, quote(secret, safe=""), *_in_json(secret))}
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    secret = re.compile("|".join([*map(re.escape, longest_first), _LIKE_A_SECRET.pattern]))
    return lambda text: secret.sub(lambda found: _mask(found[0]), text)


def _in_json(secret: str) -> tuple[str, str]:
    text = json.dumps(secret)[1:-1]
    return text, text.replace("/", "\\/")


def _mask(text: str) -> str:
    return ("REDACTED" * len(text))[: len(text)]


def _covered(data: bytes, cover: Callable[[str], str]) -> bytes:
    # Byte by byte, as Latin-1: bytes that are not text stay the same, and secrets are ASCII.
    return cover(data.decode("latin-1")).encode("latin-1")


def _frames(frames: tuple[Frame, ...], cover: Callable[[str], str]) -> tuple[Frame, ...]:
    """The frames with secrets overwritten, including those across a boundary."""
    body = _covered(b"".join(frame.data for frame in frames), cover)
    edges = accumulate((len(frame.data) for frame in frames), initial=0)
    return tuple(
        replace(frame, data=body[start:end]) for frame, (start, end) in zip(frames, pairwise(edges), strict=True)
    )
