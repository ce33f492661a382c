"""Finds where a quotation mark or a bracket was opened that is not closed: YAML's parser notices it far behind.

Knows YAML's tokens, and neither scenarios nor files.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import yaml


def unclosed(error: yaml.MarkedYAMLError, text: str, loader: Any) -> tuple[Any, str] | None:
    """The mark where it was opened, and what is wrong there; None if the error has another cause."""
    if error.context == "while scanning a quoted scalar" and "end of stream" in (error.problem or ""):
        return error.context_mark, "this quotation mark is never closed"
    end = error.problem_mark or error.context_mark
    quoted, brackets = _opened(text, loader)
    if quoted and end and quoted.end_mark.line == end.line:
        where = f"closed only in line {quoted.end_mark.line + 1}"
        return quoted.start_mark, f"this quotation mark is {where}: close it where the text ends"
    if brackets and end and end.index >= len(text.rstrip()):
        return brackets[-1], "this bracket is never closed"
    return None


def _opened(text: str, loader: Any) -> tuple[Any, list[Any]]:
    """The last text in quotation marks that goes on in a further line, and the marks of the brackets that are open,
    where YAML can be read no further."""
    quoted, brackets = None, []
    with suppress(yaml.YAMLError):
        for token in yaml.scan(text, Loader=loader):
            if isinstance(token, yaml.ScalarToken) and token.style in ("'", '"'):
                quoted = token if token.end_mark.line > token.start_mark.line else quoted
            elif isinstance(token, (yaml.FlowMappingStartToken, yaml.FlowSequenceStartToken)):
                brackets.append(token.start_mark)
            elif isinstance(token, (yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)) and brackets:
                brackets.pop()
    return quoted, brackets
