"""How the bytes of a body are sent: joined, compressed, cut and delimited, with their meaning kept. It owns Transfer.

It works on plans, and knows no events, JSON or sockets.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from fakellm.base.validation import FieldError
from fakellm.base.words.explained import Explaining
from fakellm.wire.http.codings import PACKAGES, Coding, compressed, is_installed
from fakellm.wire.plan import ChunkForm, Delimited, Frame, HeaderCase, HeadForm, Plan

ByteCut = (
    Literal["inside_characters", "inside_line_ends", "inside_framing"]
    | Annotated[int, Meta(ge=1)]
    | tuple[Annotated[int, Meta(ge=1)], ...]
)
"""Where a body is cut: between the bytes of each character that has several in UTF-8, between CR and LF and between two
line ends, after a number of bytes each, or at a list of offsets. Or, not the body but what HTTP/1.1 puts around it."""


class Transfer(Struct, metaclass=Explaining, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `transfer:` block of a rule's `stream:`.

    All keys but `content_type` also apply to a body that is not a stream; `margins` applies only to such a body.
    """

    cut: Annotated[
        ByteCut | None,
        Meta(
            description=(
                "Where the body is cut besides the boundaries of its frames: after each so many bytes, at a list of "
                "offsets, `inside_characters` or `inside_line_ends`; or `inside_framing`, which cuts the status line, "
                "the end of the head and what encloses the first chunk, each a read of its own. "
                "It counts the bytes that are sent, after "
                "compression; offsets past the end cut nothing. Each piece is an HTTP chunk of its own or, with "
                "another `body`, a write of its own. Many readers get several of them at once, unless "
                "`separate_reads` prevents it."
            )
        ),
    ] = None
    separate_reads: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description=(
                "At how many of the cuts, from the first on, a read is certain to end: there the server waits, at any "
                "speed, until the client has received what it sent before, and 3 ms longer."
            )
        ),
    ] = None
    coalesce: Annotated[
        Annotated[int, Meta(ge=1)] | Literal["all"],
        Meta(
            description=(
                "How many frames are joined into one, which leaves when the last of them is due; `all` joins all of "
                "them."
            )
        ),
    ] = 1
    body: Annotated[
        Delimited | None,
        Meta(
            description=(
                "How a reader finds the end: `chunked`, as streams are usually sent; `length`, a Content-Length, as "
                "whole bodies are; `close`, the end of the connection."
            )
        ),
    ] = None
    gzip: Annotated[
        bool | Literal["members", "twice"],
        Meta(
            description=(
                "Compressed whether the client accepts it or not, and flushed after each frame, so that a reader can"
                " decompress each frame on arrival. `members`: each frame is a gzip member of its own; `twice`: what "
                "is compressed is compressed again, which Content-Encoding states as `gzip, gzip`."
            )
        ),
    ] = False
    encoding: Annotated[
        Coding | None,
        Meta(
            description=(
                "Compressed and flushed like this instead: `deflate`, or `br` or `zstd`, which need `pip install "
                "'fakellm-server[codings]'`."
            )
        ),
    ] = None
    chunks: Annotated[
        ChunkForm | None,
        Meta(
            description=(
                "How HTTP/1.1 chunks state their size, where the body has chunks: with `extensions` behind it, or in "
                "capitals with `zeros` before it."
            )
        ),
    ] = None
    trailers: Annotated[
        dict[str, str],
        Meta(description="Fields after the last chunk of a `chunked` body; other bodies have none."),
    ] = {}
    header_case: Annotated[
        HeaderCase | None, Meta(description="The case of the names of headers: `lower`, `title` or `upper`.")
    ] = None
    head: Annotated[
        HeadForm | None,
        Meta(
            description=(
                "How the head is written: `bare`, without a reason phrase and without a space after each colon; "
                "`padded`, with more white space before each value; `interim`, after two responses with the "
                "status 100, which HTTP/1.0 does not have."
            )
        ),
    ] = None
    content_type: Annotated[
        str | UnsetType | None, Meta(description="That of a stream, instead of the provider's; null sends none.")
    ] = UNSET
    margins: Annotated[
        tuple[str, str] | None,
        Meta(
            description=(
                "The white space before and after the JSON of a whole body, instead of the provider's: a gateway "
                "sends it to show that it is alive. If the body has a delay, it is spread over the lines before it."
            )
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.separate_reads and self.cut is None:
            raise FieldError(("separate_reads",), "reads are separated at cuts: set 'cut' too")
        for name, value in self.trailers.items():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not re.fullmatch(r"[\t -~]*", value):
                message = f"{name!r}: {value!r} cannot be a field: a name without spaces, and printable ASCII"
                raise FieldError(("trailers", name), message)
        if self.trailers and self.body not in (None, "chunked"):
            raise FieldError(("trailers",), f"only a chunked body has fields after it, not a body by {self.body!r}")
        if self.gzip and self.encoding:
            raise FieldError(("encoding",), "'encoding' beside 'gzip': a body is compressed once; leave one out")
        if self.encoding and not is_installed(self.encoding):
            package = PACKAGES[self.encoding]
            message = f"{self.encoding} needs the package {package}: pip install 'fakellm-server[codings]'"
            raise FieldError(("encoding",), message)
        if (self.gzip or self.encoding) and self.cut in ("inside_characters", "inside_line_ends"):
            key = "gzip" if self.gzip else "encoding"
            message = (
                f"a compressed body has no {str(self.cut).removeprefix('inside_')} to cut: use numbers, or no {key!r}"
            )
            raise FieldError(("cut",), message)
        if not re.fullmatch(r"[ \t\r\n]*", "".join(self.margins or ())):
            raise FieldError(("margins",), "margins must be white space that JSON allows: spaces, tabs and line ends")
        if isinstance(self.content_type, str) and not re.fullmatch(r"[!-~]([ -~]*[!-~])?", self.content_type):
            raise FieldError(
                ("content_type",), "a header must be visible ASCII, with spaces only inside; null sends none"
            )


def due(body: bytes, delay: float, step: bool) -> tuple[Frame, ...]:
    """A whole body as frames: one or, if it has a delay, one for each line of white space before it too, among which
    the delay is divided."""
    blank = body[: len(body) - len(body.lstrip())] if delay else b""
    pieces = [*blank.splitlines(keepends=True), body[len(blank) :]]
    return tuple(Frame(piece, delay / len(pieces), step) for piece in pieces)


_USUAL = Transfer()


def carry(plan: Plan, transfer: Transfer) -> Plan:
    """The plan with its body sent in this way. A client that reads HTTP gets the same bytes in other pieces."""
    if transfer == _USUAL:
        return plan
    frames, headers = _joined(plan.frames, transfer.coalesce), plan.headers
    if coding := "gzip" if transfer.gzip else transfer.encoding:
        times = 2 if transfer.gzip == "twice" else 1
        for _ in range(times):
            frames = _members(frames) if transfer.gzip == "members" else compressed(frames, coding)
        headers = (*headers, ("Content-Encoding", ", ".join([coding] * times)))
    return replace(
        plan,
        headers=headers,
        frames=tuple(_cut(frames, transfer)),
        delimited=transfer.body or plan.delimited,
        header_case=transfer.header_case or plan.header_case,
        chunks=transfer.chunks,
        head=transfer.head,
        cut_framing=transfer.cut == "inside_framing",
        trailers=tuple(transfer.trailers.items()) or plan.trailers,
    )


def _joined(frames: Sequence[Frame], many: int | Literal["all"]) -> list[Frame]:
    size = max(len(frames), 1) if many == "all" else many
    groups = [frames[start : start + size] for start in range(0, len(frames), size)]
    return [
        Frame(b"".join(frame.data for frame in group), sum(frame.delay for frame in group), group[0].step)
        for group in groups
    ]


def _members(frames: Sequence[Frame]) -> list[Frame]:
    """Each frame as a gzip member of its own (RFC 1952, section 2.2)."""
    return [member for frame in frames for member in compressed([frame], "gzip")]


def _offsets(body: bytes, cut: ByteCut | None) -> Sequence[int]:
    """The offsets at which the body is cut, ascending."""
    match cut:
        case None | "inside_framing":
            return ()
        case "inside_characters":
            return [offset for offset, byte in enumerate(body) if byte & 0xC0 == 0x80]
        case "inside_line_ends":
            return [found.start() for found in re.finditer(rb"(?<=[\r\n])[\r\n]", body)]
        case int():
            return range(cut, len(body), cut)
        case _:
            return sorted(set(cut))


def _cut(frames: Sequence[Frame], transfer: Transfer) -> Iterator[Frame]:
    """The frames, cut as the transfer sets; only the first piece of a frame has its delay."""
    offsets = _offsets(b"".join(frame.data for frame in frames), transfer.cut)
    separate = frozenset(offsets[: transfer.separate_reads or 0])
    start = 0
    for frame in frames:
        end = start + len(frame.data)
        inside = offsets[bisect_right(offsets, start) : bisect_left(offsets, end)]
        for a, b in pairwise((start, *inside, end)):
            delay = frame.delay if a == start else 0.0
            yield Frame(frame.data[a - start : b - start], delay, frame.step, a in separate)
        start = end
