"""Faults of the response as a whole: another response, a body in place of a stream, or a stream in place of a body."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from fakellm.apis.protocol import Failure
from fakellm.base.json_text import dumps
from fakellm.faults.base import Base, check_header, check_headers
from fakellm.wire.plan import Frame, Plan

StatusCode = Annotated[int, Meta(ge=200, le=999)]

_PAGE = """\
<!DOCTYPE html>
<html>
<head><title>{0}</title></head>
<body><center><h1>{0}</h1></center><hr><center>nginx</center></body>
</html>
"""

Refuse = Callable[[Failure], tuple[str, bytes]]
"""Returns the Content-Type and the body of a failure, in the shape of the API."""


class ResponseFault(Base, frozen=True):
    """Another response instead of the reply."""

    def respond(self, refuse: Refuse, content_type: str, stream: bool) -> Plan:
        """The response to a request for a stream or for a whole body, whose Content-Type would be `content_type`."""
        raise NotImplementedError


class Status(ResponseFault, frozen=True, tag="status"):
    """An HTTP status with the provider's error body (F6, F7; with `status: 200`, F8 and F9)."""

    status: StatusCode = 500
    message: Annotated[
        str | None,
        Meta(
            description=(
                "The error's `message`; by default the provider's for this status. A provider that does not send this"
                " field still does not."
            )
        ),
    ] = None
    type: Annotated[
        str | UnsetType | None,
        Meta(
            description=(
                "The error's `type`; by default the provider's for this status. A provider that does not send this "
                "field still does not."
            )
        ),
    ] = UNSET
    code: Annotated[
        str | int | UnsetType | None,
        Meta(
            description=(
                "The error's `code`; by default the provider's for this status. A provider that does not send this "
                "field still does not."
            )
        ),
    ] = UNSET
    param: Annotated[
        str | None,
        Meta(
            description=(
                "The error's `param`; by default the provider's for this status. A provider that does not send this "
                "field still does not."
            )
        ),
    ] = None
    body: Annotated[
        str | dict[str, Any] | list[Any] | None, Meta(description="Another body: text as it is, other data as JSON.")
    ] = None
    content_type: Annotated[
        str | None, Meta(description=("By default the provider's, or `text/plain` with a `body` of text."))
    ] = None
    retry_after: Annotated[
        int | float | str | None,
        Meta(description=("The value of the Retry-After header: seconds, an HTTP date, or nonsense (F6).")),
    ] = None
    headers: Annotated[
        dict[str, str],
        Meta(
            description=("Headers beside or instead of the usual ones: `retry-after-ms`, `x-should-retry`, `location`.")
        ),
    ] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_headers(self.headers)
        check_header(("content_type",), self.content_type)
        check_header(("retry_after",), self.retry_after)

    def respond(self, refuse: Refuse, content_type: str, stream: bool) -> Plan:
        own = {name.lower(): value for name, value in self.headers.items()}
        if self.retry_after is not None:
            own.setdefault("retry-after", str(self.retry_after))
        usual, body = refuse(Failure(self.status, self.message, self.type, self.code, self.param, own))
        if self.body is not None:
            body = (self.body if isinstance(self.body, str) else dumps(self.body)).encode("utf-8", "surrogatepass")
            usual = "text/plain; charset=utf-8" if isinstance(self.body, str) else "application/json"
        headers = {"Content-Type": self.content_type or usual}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        kept = {name: value for name, value in headers.items() if name.lower() not in map(str.lower, self.headers)}
        return Plan(self.status, tuple((kept | self.headers).items()), (Frame(body),))


class Html(ResponseFault, frozen=True, tag="html"):
    """A page of HTML where JSON or a stream was expected (F7, F8, F9): a proxy's, a login, a captive portal."""

    status: StatusCode = 200
    body: Annotated[
        str | None,
        Meta(description=("The page; by default one that names the status, or 502 if the status is 200.")),
    ] = None

    def respond(self, refuse: Refuse, content_type: str, stream: bool) -> Plan:
        page = _PAGE.format(_title(502 if self.status == 200 else self.status)) if self.body is None else self.body
        return Plan(self.status, (("Content-Type", "text/html"),), (Frame(page.encode("utf-8", "surrogatepass")),))


class Empty(ResponseFault, frozen=True, tag="empty"):
    """The right head and an empty body (E8, F9)."""

    status: StatusCode = 200

    def respond(self, refuse: Refuse, content_type: str, stream: bool) -> Plan:
        content_type = content_type if stream else "application/json"
        return Plan(self.status, (("Content-Type", content_type),), (), delimited="chunked" if stream else "length")


class Whole(Base, frozen=True, tag="whole"):
    """A whole body although a stream was requested (F8)."""

    breaks: ClassVar[Literal["streams", "bodies", "both"]] = "streams"


class Stream(Base, frozen=True, tag="stream"):
    """A stream although a whole body was requested (F9)."""

    breaks: ClassVar[Literal["streams", "bodies", "both"]] = "bodies"


def _title(status: int) -> str:
    """A status with its name, if it has one: some that proxies send do not."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
