"""What the writers of several formats say alike of a response. Knows none of them."""

from __future__ import annotations

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Headers
from fakellm.wire.http1 import PHRASES
from fakellm.wire.plan import Plan


def said(plan: Plan, place: str) -> tuple[int, str, Headers]:
    """The status of a plan, its phrase and its headers as they are written.

    Raises CassetteError where it has no status: few formats can say that no response came.
    """
    if plan.status is None:
        raise CassetteError([f"{place}: no response came, which this format cannot say; those of fakellm and HAR can"])
    return plan.status, PHRASES.get(plan.status, ""), written(plan)


def written(plan: Plan) -> Headers:
    """The headers with their names as they are written."""
    write = str if plan.header_case is None else getattr(str, plan.header_case)
    return tuple((write(name), value) for name, value in plan.headers)


def grouped(headers: Headers) -> dict[str, list[str]]:
    """The headers as a mapping of each name to its values; the order of headers with different names is lost."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(value)
    return values


def kept(body: bytes) -> str | bytes:
    """The body as text where it is UTF-8."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body
