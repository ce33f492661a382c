"""Hides secrets in the frames of a reply, those too that a stream has in several events. Knows no API by name.

A secret that lies within the bytes of the body is overwritten there, whatever the frames. Of one that is in several
events, the texts of these events are.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

from msgspec.structs import replace

from fakellm.base.json_text import dumps
from fakellm.server.one_request.additions import Addition

_CODINGS = ("gzip", "deflate")


def hide(pieces: Sequence[bytes], added: Sequence[list[Addition]], secrets: Collection[str] = ()) -> list[bytes]:
    """The bytes of frames without secrets. `added`: what each frame adds; it is changed in place. `secrets`: known
    ones."""
    from fakellm.base.secrets.search import cover  # most servers never need it

    covered = cover(secrets)
    data = list(_parts(pieces, covered))
    for places in _texts(added).values():
        texts = [added[frame][number].text or "" for frame, number in places]
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        for (frame, number), text, shown in zip(places, encoded, _parts(encoded, covered), strict=True):
            if text != shown:
                hidden = shown.decode("utf-8", "replace")
                data[frame] = data[frame].replace(_json(added[frame][number].text or ""), _json(hidden))
                added[frame][number] = replace(added[frame][number], text=hidden)
    return data


def _texts(added: Sequence[list[Addition]]) -> dict[tuple[object, ...], list[tuple[int, int]]]:
    """Where the pieces of each text are: the number of the frame, and that of the addition."""
    found: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for frame, additions in enumerate(added):
        for number, each in enumerate(additions):
            if each.text is not None:
                found.setdefault((each.type, each.choice, each.call), []).append((frame, number))
    return found


def _parts(parts: Sequence[bytes], covered: Callable[[str], str]) -> Iterator[bytes]:
    """The parts of a whole in which secrets are overwritten, each as long as before."""
    whole = covered(b"".join(parts).decode("latin-1")).encode("latin-1")
    return (whole[start:end] for start, end in pairwise(accumulate(map(len, parts), initial=0)))


def _json(text: str) -> bytes:
    return dumps(text).encode()


def is_compressed(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether a body is compressed in a way that `inflated` undoes."""
    return any(name.lower() == "content-encoding" and value.strip().lower() in _CODINGS for name, value in headers)


def inflated(pieces: Sequence[bytes]) -> list[bytes]:
    """What a reader has of each piece of a compressed body as soon as it arrives. Raises zlib.error."""
    reader, found = zlib.decompressobj(zlib.MAX_WBITS | 32), []
    for piece in pieces:
        text = reader.decompress(piece)
        while reader.eof and reader.unused_data:
            rest, reader = reader.unused_data, zlib.decompressobj(zlib.MAX_WBITS | 32)
            text += reader.decompress(rest)
        found.append(text)
    return found
