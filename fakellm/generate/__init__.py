"""Replies that nobody wrote: seeded text, JSON and tool calls that do as the request asks.

`answer` reads a request, `calls` picks the tools, `prose` owns the words. `schema` makes values that meet a JSON
Schema, with `judge` (the check), `flat` (several schemas as one), `height` (where recursion ends), `grow` (objects and
lists), `scalars`, `formats` and `pattern`.
"""

from __future__ import annotations

from fakellm.generate.answer import Generate, answers
from fakellm.generate.prose import text

__all__ = ["Generate", "answers", "text"]
