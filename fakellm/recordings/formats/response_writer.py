"""What the writers of several formats need for a response. It knows none of the formats."""

from __future__ import annotations

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Headers
from fakellm.wire.http.http1 import PHRASES
from fakellm.wire.plan import Plan


def status_line(plan: Plan, place: str) -> tuple[int, str, Headers]:
    """The status of a plan, its reason phrase, and the headers as they are written.

    Raises CassetteError if it has no status: few formats can express that no response came.
    """
    if plan.status is None:
        raise CassetteError([f"{place}: no response came, which this format cannot express; fakellm's own and HAR can"])
    return plan.status, PHRASES.get(plan.status, ""), written(plan)


def written(plan: Plan) -> Headers:
    """The headers, with their names in the case in which they are written."""
    write = str if plan.header_case is None else getattr(str, plan.header_case)
    return tuple((write(name), value) for name, value in plan.headers)


def grouped(headers: Headers) -> dict[str, list[str]]:
    """The values of the headers by name; the order of headers with different names is lost."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(value)
    return values


def text_or_bytes(body: bytes) -> str | bytes:
    """The body as text if it is UTF-8."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body
