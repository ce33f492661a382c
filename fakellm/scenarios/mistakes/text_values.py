"""Says what to write for a text in place of a number or of true and false. Knows no block."""

from __future__ import annotations

import re

from fakellm.base.validation import Path, shortened

_TRUTH = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}

_NUMBERS = {"one": 1, "once": 1, "first": 1, "two": 2, "twice": 2, "second": 2, "three": 3, "third": 3}

_STATUSES = {
    "forbidden": 403,
    "internalservererror": 500,
    "notfound": 404,
    "overloaded": 529,
    "ratelimit": 429,
    "ratelimited": 429,
    "servererror": 500,
    "serviceunavailable": 503,
    "toomanyrequests": 429,
    "unauthorized": 401,
}

_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s)")


def instead_of_text(text: str, path: Path, message: str, python: bool = False) -> str:
    """What follows the message about a text at this path: the text, and what to write. Empty if the message expects
    neither a number nor true or false.

    `message`: such as `expected integer, got string`. `python`: the value is written in Python.
    """
    expected = re.findall(r"\w+", message.partition(", got")[0])
    word = text.strip().lower()
    if "string" in expected or not message.endswith(", got string"):
        return ""
    if "boolean" in expected:
        values = [_TRUTH[word]] if word in _TRUTH else [True, False]
        written = " or ".join(str(value) if python else str(value).lower() for value in values)
        return f" {shortened(text)}; write {written}, without quotes"
    if "integer" not in expected and "number" not in expected:
        return ""
    return f" {shortened(text)}; write {_number(word, path, 'number' in expected)}"


def status_of(word: str) -> int | None:
    """The status that is called so, as in `rate_limit`; None for any other word."""
    digits = re.fullmatch(r"[45]\d\d", word)
    return int(word) if digits else _STATUSES.get(re.sub(r"[\W_]", "", word.lower()))


def _number(word: str, path: Path, fractions: bool) -> str:
    if re.fullmatch(r"\d+", word) or (fractions and re.fullmatch(r"\d+\.\d+", word)):
        return f"{word}, without quotes"
    if fractions and (found := _DURATION.fullmatch(word)):
        return f"{float(found[1]) / (1000 if found[2] == 'ms' else 1):g}, in seconds"
    if path[-1:] == ("status",):
        return str(status_of(word) or "a status such as 429")
    return str(_NUMBERS.get(word, "a number"))
