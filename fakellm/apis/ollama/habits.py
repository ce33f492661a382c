"""How Ollama's API spells a divided completion, and how the flat `stream:` block is split among its four owners."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.ollama.dialects import DIALECTS, Dialect, Route
from fakellm.apis.protocol import Settings
from fakellm.apis.variation import PLAIN, Variation, division_of
from fakellm.apis.variation_blocks import Calls, Spelling
from fakellm.wire.framing import Framing
from fakellm.wire.ndjson import lines
from fakellm.wire.transfer import Transfer


class OllamaHabits(Struct, frozen=True):
    """The habits that `Variation` describes under the same names.

    route: which of the two routes replies. index: the index of a call. digits: those of the fraction in `created_at`.
    context: whether the last line has the ids of the conversation's tokens. margins: the white space around a body.
    """

    dialect: Dialect
    route: Route = "chat"
    spelling: Spelling = Spelling()
    index: Literal["given", "absent", "null", "from_one", "zero"] = "given"
    digits: int = 6
    context: bool = False
    margins: tuple[str, str] = ("", "")

    @property
    def ids(self) -> bool:
        """Whether calls have ids."""
        return self.spelling.call_keys is None or "id" in self.spelling.call_keys


def split(
    variation: Variation, dialect: str | None, route: Route = "chat", context: bool = False
) -> Settings[OllamaHabits]:
    """The variation in its parts. What it does not set is as the dialect usually does it, else as in PLAIN."""
    found = DIALECTS.get(dialect or "") or next(iter(DIALECTS.values()))
    full = variation.over(found.usual).over(PLAIN)
    calls, transfer = full.calls or Calls(), full.transfer or Transfer()
    division = division_of(full)
    if division.finish in ("early", "twice"):  # the reason is on the line that ends the stream
        division = replace(division, finish="alone")
    habits = OllamaHabits(
        dialect=found,
        route=route,
        spelling=full.spelling or Spelling(),
        index=calls.index or "given",
        digits=6 if full.fraction is None else full.fraction,
        context=context,
        margins=transfer.margins or ("", ""),
    )
    return Settings(division, habits, lines(full.sse or Framing()), transfer, full.score)
