"""Generates replies: seeded text, JSON and tool calls that follow the request.

`answer` reads a request, `calls` picks the tools, `prose` has the words, and `json_schema` makes values for a schema.
"""

from __future__ import annotations

from fakellm.generate.answer import Generate, answers
from fakellm.generate.prose import text

__all__ = ["Generate", "answers", "text"]
