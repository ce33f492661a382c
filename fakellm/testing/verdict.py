"""What the app did, judged by what the providers ask of their clients."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from fakellm.engine.entry import Entry


class ClientVerdict(Struct, frozen=True):
    def check(self) -> None:
        pass


def judge(entries: Sequence[Entry]) -> ClientVerdict:
    return ClientVerdict()
