"""The kinds of streams, by Content-Type: how their bytes become events, pieces and a framing. Knows no API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from fakellm.wire import json_array, ndjson, sse, unframing
from fakellm.wire.framing import Framing
from fakellm.wire.sse import Event


class StreamDecoder(Protocol):
    """Decodes bytes, cut anywhere, into events."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes."""
        ...

    def finish(self) -> list[Event]:
        """The events that the end of the stream completes."""
        ...


class Kind(Struct, frozen=True):
    """How streams of one Content-Type are read.

    blocks: the stream in pieces, one for each event and one for each line between events. framing: that of the pieces.
    """

    decoder: Callable[[], StreamDecoder]
    blocks: Callable[[bytes], list[bytes]]
    framing: Callable[[Sequence[bytes]], Framing]

    def events(self, body: bytes) -> list[Event]:
        """The events of a whole stream."""
        decoder = self.decoder()
        return decoder.feed(body) + decoder.finish()


SSE = Kind(sse.Decoder, unframing.blocks, unframing.framing)
NDJSON = Kind(ndjson.LineDecoder, ndjson.blocks, ndjson.unframed)
ARRAY = Kind(json_array.ItemDecoder, json_array.blocks, json_array.unframed)
"""One JSON array; its Content-Type is that of whole bodies."""

_KINDS = {"text/event-stream": SSE, "application/x-ndjson": NDJSON, "application/ndjson": NDJSON}


def kind_of(content_type: str) -> Kind | None:
    """The kind of the streams with this Content-Type; None if it is not a stream's."""
    return _KINDS.get(content_type.partition(";")[0].strip().lower())
