"""What a worker counts, for the metrics of its server."""

from __future__ import annotations

from msgspec import Struct, field

from fakellm.server.sending.traffic import Traffic


class Counted(Struct, frozen=True):
    """What a worker has counted since it was started, and the bytes that its cache has now."""

    traffic: Traffic = field(default_factory=Traffic)
    late_frames: int = 0
    worst_lateness: float = 0.0
    cache_bytes: int = 0
