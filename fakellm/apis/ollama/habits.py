"""How Ollama's API spells a divided completion, and how the flat `stream:` block is split among its four owners."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.ollama.dialects import DIALECTS, OllamaDialect, Route
from fakellm.apis.ollama.stream_keys import OllamaKeys
from fakellm.apis.protocol import Settings
from fakellm.apis.variation import PLAIN, Variation, division_of
from fakellm.apis.variation_blocks import Calls, Spelling
from fakellm.wire.framing import Framing
from fakellm.wire.http.transfer import Transfer
from fakellm.wire.ndjson import lines

_SPELLED = (
    *("ascii", "html", "spaces", "floats", "escapes", "order"),
    *("keys", "last_keys", "delta_keys", "call_keys", "usage_keys"),
)

STREAM_KEYS = frozenset(
    {
        *("padding", "split", "role", "together", "turns", "finish", "usage", "sse", "transfer", "score", "ollama"),
        *("calls.index", "calls.before", "spelling.extra", "spelling.each", *(f"spelling.{key}" for key in _SPELLED)),
    }
)
"""The keys of a `stream:` block that have an effect."""


class OllamaHabits(Struct, frozen=True):
    """The habits that `Variation` describes under the same names.

    route: which of the two routes replies. index: the index of a call. digits: those of the fraction in `created_at`.
    context: whether the last line has the ids of the conversation's tokens. margins: the white space around a body.
    """

    dialect: OllamaDialect
    route: Route = "chat"
    spelling: Spelling = Spelling()
    index: Literal["given", "absent", "null", "from_one", "zero"] = "given"
    digits: Literal[0, 3, 6, 9] = 6
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
    if division.finish in ("calls", "early", "twice"):  # the reason is on the line that ends the stream
        division = replace(division, finish="alone")
    habits = OllamaHabits(
        dialect=found,
        route=route,
        spelling=full.spelling or Spelling(),
        index=calls.index or "given",
        digits=digits_of(full),
        context=context,
        margins=transfer.margins or ("", ""),
    )
    return Settings(division, habits, lines(full.sse or Framing()), transfer, full.score)


def digits_of(variation: Variation) -> Literal[0, 3, 6, 9]:
    """How many digits of a fraction a time has."""
    digits = (variation.ollama or OllamaKeys()).fraction
    return 6 if digits is None else digits


def block(habits: OllamaHabits) -> Variation:
    """The `stream:` block with these habits: what the dialect does not do as usual."""
    usual = habits.dialect.usual.over(PLAIN)
    spelling = _unlike(habits.spelling, usual.spelling or Spelling())
    index = None if habits.index == (usual.calls or Calls()).index else habits.index
    return Variation(
        calls=Calls(index=index) if index else None,
        spelling=None if spelling == Spelling() else spelling,
        transfer=Transfer(margins=habits.margins) if any(habits.margins) else None,
        ollama=None if habits.digits == digits_of(usual) else OllamaKeys(habits.digits),
    )


def _unlike(spelling: Spelling, usual: Spelling) -> Spelling:
    """What a spelling sets otherwise than the usual one."""
    fields = {name: getattr(spelling, name) for name in spelling.__struct_fields__}
    return Spelling(**{name: value for name, value in fields.items() if value != getattr(usual, name)})
