"""Makes the plan that is sent for a recorded interaction: without what belonged to the recorded connection.

It decides which headers are sent, and how a body without recorded frames is divided. It works on values only.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from fakellm.recordings.cassette import Headers, Interaction
from fakellm.wire.kinds import SSE, Kind, kind_of
from fakellm.wire.plan import Frame, Plan

# Headers of one connection (RFC 9110, section 7.6.1), those about how the body is sent, and cookies, because clients
# would send back what a recording must not contain.
_NOT_SENT = re.compile(
    "connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|content-length|set-cookie", re.IGNORECASE
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_BLOCK = re.compile(rb".+?(?:(?>\r\n|\r|\n){2,}+|\Z)", re.DOTALL)


class Recording(Struct, frozen=True):
    """One interaction to answer with. `label` identifies it: ``file#2``."""

    label: str
    interaction: Interaction
    framed: bool


def playback(recording: Recording, timing: bool) -> Plan:
    """The plan to send for a recording, with its label in a header.

    A stream whose recording does not have its frames is divided into one frame for each event. A body that broke off,
    or that HEAD and 304 do not send, keeps its announced length.
    """
    plan = recording.interaction.response
    unsent = plan.status == 304 or recording.interaction.request.method == "HEAD"
    length = plan.delimited == "length" and (plan.end != "complete" or unsent)
    kept = [(name, value) for name, value in plan.headers if _sent(name, value, length)]
    frames = [frame for frame in (plan.frames if recording.framed else _divided(plan)) if frame.data]
    # An empty HTTP/1.1 chunk would end the body (RFC 9112, section 7.1).
    return replace(
        plan,
        headers=(*kept, ("x-fakellm-recording", quote(recording.label, safe=" #+/:"))),
        trailers=tuple(pair for pair in plan.trailers if _sent(*pair, False)),
        frames=tuple(frame if timing else replace(frame, delay=0.0) for frame in frames),
        delay=plan.delay if timing else 0.0,
    )


def _sent(name: str, value: str, length: bool) -> bool:
    """Whether a header is sent. HTTP/2's `:status` is not a header, for instance, and would break the response."""
    if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
        return False
    return not _NOT_SENT.fullmatch(name) or (length and name.lower() == "content-length")


def _divided(plan: Plan) -> tuple[Frame, ...]:
    """The frames of a stream that is one frame: each event with its blank line, and what follows the last event; or
    each line."""
    kind = _kind(plan.headers, plan.body)
    if len(plan.frames) != 1 or kind is None:
        return tuple(plan.frames)
    first, *others = (_BLOCK.findall(plan.body) if kind is SSE else kind.blocks(plan.body)) or [b""]
    return (replace(plan.frames[0], data=first), *map(Frame, others))


def _kind(headers: Headers, body: bytes) -> Kind | None:
    """The kind of stream that a body is, if it is one; recordings of only a body have no header for it."""
    types = [value for name, value in headers if name.lower() == "content-type"]
    if types:
        return kind_of(types[-1])
    return SSE if body.startswith((b"data:", b"event:", b":")) else None
