"""What faults share: which attempts they apply to, where in a reply they act, what a header can hold.

Knows no fault by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from fakellm.base.seed import Source
from fakellm.base.validation import FieldError, Path

Place = int | None
"""A count of frames, chunks, characters or bytes; negative from the end, None where the seed draws it."""


class Base(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind"):
    """The keys of every fault.

    Attempts are counted by session, rule and request (`Request.digest`), so that requests at the same time do not
    take each other's.
    """

    times: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description=(
                "How many attempts of the same request it applies to, before the rule's plain reply is sent; all by "
                "default."
            )
        ),
    ] = None
    after: Annotated[int, Meta(ge=0, description="How many attempts have the plain reply first.")] = 0

    breaks: ClassVar[Literal["streams", "bodies", "both"]] = "both"
    """What it can break: streams, whole bodies, or both."""
    calls: ClassVar[int] = 0
    """How many tool calls a reply must have for it to apply at all."""

    @property
    def kind(self) -> str:
        """Its name in YAML and in the journal."""
        return str(self.__struct_config__.tag)

    @property
    def counts(self) -> bool:
        """Whether it matters which attempt a request is."""
        return self.times is not None or self.after > 0

    def applies_to(self, attempt: int) -> bool:
        """Whether it applies to this attempt, counted from 0."""
        return self.after <= attempt and (self.times is None or attempt < self.after + self.times)

    def applies(self, stream: bool) -> bool:
        """Whether there is anything to break in a stream, or in a whole body."""
        return self.breaks in ("both", "streams" if stream else "bodies")


def place(value: Place, most: int, source: Source) -> int:
    """A place from 0 to `most`: the one given, from the end where negative, or one that the seed draws."""
    if value is None:
        return source.between(0, most)
    return min(max(value if value >= 0 else most + value, 0), most)


def index(value: Place, count: int, source: Source, likely: Sequence[int] = ()) -> int:
    """One of `count` things by its number from 0: the one given, from the end where negative, or one that the seed
    draws, of the `likely` ones where there are any. 0 where there is no thing at all."""
    if value is None and likely:
        return source.choice(likely)
    return max(min(place(value, count, source), count - 1), 0)


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises FieldError, at `headers`, where a name or a value cannot stand in the head of a response."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise FieldError(("headers", name), f"{name!r} is not the name of a header")
        check_header(("headers", name), value)


def check_header(path: Path, value: object) -> None:
    """Raises FieldError where a value cannot stand in the head of a response; None stands for none."""
    if value is not None and not re.fullmatch(r"[\t\x20-\x7e]*", str(value)):
        raise FieldError(path, f"{value!r} cannot be sent in a header: printable ASCII alone, and no line end")
