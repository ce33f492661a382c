"""Error bodies: what a provider says when it fails, as bytes. Knows no provider by name."""

from __future__ import annotations

from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Failure
from fakellm.base.json_text import JSON, dumps


def error_json(dialect: Dialect, failure: Failure) -> JSON:
    """What the provider says of a failure."""
    return dialect.errors.body(dialect.errors.fields(failure), failure.status)


def error_body(dialect: Dialect, failure: Failure) -> bytes:
    """The body of a response that failed, in the provider's shape, indented and ended as the provider does."""
    indent = dialect.errors.indents.get(failure.status, dialect.indent)
    return (dumps(error_json(dialect, failure), indent) + dialect.errors.ending).encode()


def error_type(dialect: Dialect, status: int) -> str:
    """The Content-Type of that body."""
    return dialect.errors.types.get(status, "application/json")
