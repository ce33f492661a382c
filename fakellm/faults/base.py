"""What faults share: which attempts they apply to, where in a reply they act, which headers are valid.

Knows no fault by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple

from msgspec import Meta, Struct

from fakellm.base.seed import Source
from fakellm.base.validation import FieldError, Path
from fakellm.base.words.explained import Explaining

Place = int | None
"""A number of frames, chunks, characters or bytes; negative numbers count from the end, None lets the seed draw one."""


CountedBy = Literal["request", "rule", "session"]
"""Which requests of a session are attempts of one count."""


class Times(Struct, metaclass=Explaining, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How many attempts a fault applies to, and which requests are attempts of one count."""

    count: Annotated[int, Meta(ge=1)]
    by: Annotated[
        CountedBy,
        Meta(
            description=(
                "`request`: the same request sent again. `rule`: every request that the rule answers. `session`: every "
                "request that a rule which counts by session answers."
            )
        ),
    ] = "request"


class Idle(NamedTuple):
    """A fault that broke nothing. `key`: of the rule, what had no effect; `reason`: why, and the remedy."""

    key: str
    reason: str


class Base(
    Struct,
    metaclass=Explaining,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
):
    """The keys of every fault.

    Attempts are counted by session, rule and request (`Request.digest`), so that different requests at the same time
    do not use up each other's attempts, unless `times` sets another count.
    """

    times: Annotated[
        Annotated[int, Meta(ge=1)] | Times | None,
        Meta(
            description=(
                "How many attempts it applies to before the rule's plain reply is sent; all by default. A number "
                "counts the same request sent again; `{count: 2, by: rule}` counts every request of the rule."
            )
        ),
    ] = None
    after: Annotated[int, Meta(ge=0, description="How many attempts get the plain reply first.")] = 0
    rate: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(
            description=(
                "The share of these attempts that it applies to, 0.05 for one in twenty; which ones is drawn from the "
                "seed, the request and the number of the attempt. All by default."
            )
        ),
    ] = None

    breaks: ClassVar[Literal["streams", "bodies", "both"]] = "both"
    """What the fault can break: streams, whole bodies, or both."""
    calls: ClassVar[int] = 0
    """How many tool calls a reply must have for the fault to apply."""

    @property
    def kind(self) -> str:
        """The fault's name in YAML and in the journal."""
        return str(self.__struct_config__.tag)

    @property
    def most(self) -> int | None:
        """How many attempts it applies to; None for all."""
        return self.times.count if isinstance(self.times, Times) else self.times

    @property
    def counts(self) -> bool:
        """Whether the number of the attempt matters."""
        return self.times is not None or self.after > 0 or self.rate is not None

    def applies_to(self, attempt: int) -> bool:
        """Whether the fault applies to this attempt, counted from 0."""
        return self.after <= attempt and (self.most is None or attempt < self.after + self.most)

    def is_drawn(self, seed: int, digest: str, number: int) -> bool:
        """Whether the attempt with this number, from 1, of the request with this digest is one that `rate` draws."""
        if self.rate is None:
            return True
        return Source(seed, digest, "fault rate", number).below(10**9) < self.rate * 10**9

    def applies(self, stream: bool) -> bool:
        """Whether the fault can apply to a stream, or to a whole body."""
        return self.breaks in ("both", "streams" if stream else "bodies")

    def idle(self, stream: bool, frames: int, body: Callable[[], bytes]) -> Idle | None:
        """Why it broke nothing of a reply with so many frames and this body, which has the fault if it can apply to it;
        None if it did break it."""
        if self.applies(stream):
            return None
        only = "to streams, and this request" if self.breaks == "streams" else "to whole bodies, and this request"
        return Idle("fault", f"{self.kind!r} applies only {only} is {'' if stream else 'not '}for a stream")


def place(value: Place, most: int, source: Source) -> int:
    """A place from 0 to `most`: `value`, counted from the end if negative; if None, one that the seed draws."""
    if value is None:
        return source.between(0, most)
    return min(max(value if value >= 0 else most + value, 0), most)


def index(value: Place, count: int, source: Source, likely: Sequence[int] = ()) -> int:
    """The index of one of `count` items: `value`, counted from the end if negative; if None, one that the seed draws,
    from the `likely` ones if there are any. 0 if `count` is 0."""
    if value is None and likely:
        return source.choice(likely)
    return max(min(place(value, count, source), count - 1), 0)


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


_FRAMING = {
    "content-length": "would break the framing of the response; 'kind: content_length' of 'fault' does so on purpose",
    "transfer-encoding": "would break the framing of the response; 'stream: {transfer: {body: …}}' chooses it",
    "connection": "is set by the server; 'kind: hang_up' of 'fault' closes a connection that it promised to keep",
    "content-encoding": "would not be true of the body; 'stream: {transfer: {gzip: true}}' compresses it",
    "trailer": "would announce fields after the body, which are never sent",
    "upgrade": "would offer another protocol, which the server does not speak",
    "keep-alive": "is set by the server, which keeps connections as long as it runs",
}
"""Headers that state how a response is delimited, each with the reason why a scenario cannot set it."""


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises FieldError, at `headers`, if a name or a value is not valid in the head of a response, or if the header
    states how the response is delimited."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise FieldError(("headers", name), f"{name!r} is not the name of a header")
        check_header(("headers", name), value)
        if name.lower() in _FRAMING:
            raise FieldError(("headers", name), f"{name!r} {_FRAMING[name.lower()]}")


def check_header(path: Path, value: object) -> None:
    """Raises FieldError if a value is not valid in the head of a response; None means that no header is sent."""
    if value is not None and not re.fullmatch(r"[\t\x20-\x7e]*", str(value)):
        raise FieldError(path, f"{value!r} cannot be sent in a header: printable ASCII alone, and no line end")
