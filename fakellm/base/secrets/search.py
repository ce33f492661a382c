"""Finds secrets in texts: known ones in every usual spelling, what looks like a key, and values with a telling name.

Owns the spellings and the patterns; `names` has the names. It knows no requests. Every pattern reads a text in
time that grows with its length only: quantifiers are bounded or possessive, and what one match has read, none reads
again.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from urllib.parse import unquote

from fakellm.base.secrets.names import secret_field, secret_parameter

SHORTEST = 8
"""Anything shorter is not treated as a secret: a test's key `any` is part of half of all texts."""

Span = tuple[int, int]

_DEPTH = 3
"""How often escapes may be within escapes: a URL in JSON in JSON."""

_WINDOW = 2**20
_BEYOND = 2**16
"""Characters that are searched at once, and those after them in which a match may end, or is searched again."""

_KEY = re.compile(r"[-_](?<=(?:[sreg]k|ss|rg|oj|lx|r8|hf|h[pousr]|at|ai|pi|x[abeoprs])[-_])(?=[A-Za-z0-9_-]{16})")
_PREFIX = re.compile(
    r"(?<![A-Za-z0-9])(?:sk|sess|org|proj|plx|r[k8]|ek|hf|gsk|gh[pousr]|github_pat|glpat|xai|xox[abeoprs]|nvapi)\Z"
)
_LONGEST_PREFIX = len("github_pat")
_REST_OF_KEY = re.compile(r"[A-Za-z0-9_-]++")
"""Keys and ids in the form of OpenAI and others, in a header or not (https://github.com/Yelp/detect-secrets,
https://github.com/gitleaks/gitleaks), such as `sk-…`; with a digit, because words have none. A text has few places
where one could go on after its prefix, and only there is the prefix looked for."""

_OTHER_KEYS = {
    "AKIA": r"(?<![A-Za-z0-9])AKIA[0-9A-Z]{16}",
    "ASIA": r"(?<![A-Za-z0-9])ASIA[0-9A-Z]{16}",
    "AIza": r"(?<![A-Za-z0-9])AIza[0-9A-Za-z_-]{35}",
    "ya29": r"(?<![A-Za-z0-9])ya29\.[0-9A-Za-z_-]{16,}+",
    "eyJ": r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}+\.eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]*+",
    "earer ": r"(?<=[Bb]earer )[A-Za-z0-9._~+/-]{16,}+=*+",
    "-----BEGIN": r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]*+",
}
_PATTERNS = {literal: re.compile(pattern) for literal, pattern in _OTHER_KEYS.items()}
"""Others, by a text that each of them has: most texts have none."""

_FIELD = re.compile(r"""(["'])([A-Za-z_][\w.-]{1,80})\1\s{0,9}:\s{0,9}(["'])""", re.ASCII)
_REST = {quote: re.compile(rf"(?:[^{quote}\\\r\n]|\\.)*+") for quote in "\"'"}
_PARAMETER = re.compile(r"""(?:([?&#])|^|\\n)([\w.%\[\]-]{1,80})=([^&\s"'<>\\#]++)""", re.ASCII | re.MULTILINE)
_FORM_FIELD = re.compile(r'name="([^"\r\n]{1,80})"\r\n(?:[^\r\n]{1,200}\r\n){0,9}\r\n([^\r\n]++)')
_USER = re.compile(r"""(?<=://)([^\s/@"'<>?#\\:]{0,200})(?::([^\s/@"'<>?#\\]{0,200}))?@""")

_ESCAPE = re.compile(
    r"%[0-9A-Fa-f]{2}|\\(?:u00[0-9A-Fa-f]{2}|x[0-9A-Fa-f]{2}|[\"/\\])"
    r"|&(?:#[0-9]{1,3}|#[xX][0-9A-Fa-f]{1,2}|amp|quot|apos|lt|gt);"
)
_BEGUN = re.compile(r"[%\\&]")
_LONGEST_ESCAPE = 6
_NAMED = {"amp": "&", "quot": '"', "apos": "'", "lt": "<", "gt": ">"}


def cover(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that overwrites with REDACTED… these secrets, what looks like one, and what is named like one.

    Texts are one character per byte (Latin-1), so a text keeps its length, in bytes too.
    """
    known = _pattern(frozenset(secret for secret in secrets if len(secret) >= SHORTEST))

    def covered(text: str) -> str:
        pieces, at = [], 0
        for start, end in _joined(_spans(text, known, _DEPTH)):
            pieces += [text[at:start], mask(text[start:end])]
            at = end
        return "".join([*pieces, text[at:]]) if pieces else text

    return covered


def named(text: str) -> Iterator[Span]:
    """Where the values with a telling name are: fields of JSON and of forms, parameters, and users in URLs."""
    at = 0
    for found in _matches(_FIELD, text):
        if found.start() >= at and secret_field(found[2]):
            rest = _REST[found[3]].match(text, found.end())
            at = rest.end() if rest else found.end()
            yield found.end(), at
    for found in _matches(_PARAMETER, text) if "=" in text else ():
        if (secret_parameter if found[1] else secret_field)(unquote(found[2])):
            yield found.span(3)
    if 'name="' in text:
        for found in _matches(_FORM_FIELD, text):
            if secret_field(found[1]):
                yield found.span(2)
    for found in _matches(_USER, text) if "://" in text else ():
        yield found.span(1 if found[2] is None else 2)


def named_values(text: str) -> set[str]:
    """The values with a telling name, in the text itself and where it is escaped."""
    found, depth = {text[start:end] for start, end in named(text)}, 0
    while depth < _DEPTH and (plain := _plain(text)) != text:
        text, depth = plain, depth + 1
        found |= {text[start:end] for start, end in named(text)}
    return found


def mask(text: str) -> str:
    """As many characters of REDACTED…"""
    return ("REDACTED" * (len(text) // 8 + 1))[: len(text)]


def _spans(text: str, known: re.Pattern[str] | None, depth: int) -> Iterator[Span]:
    if known:
        yield from (found.span() for found in _matches(known, text))
    yield from _like_keys(text)
    yield from named(text)
    plain = _plain(text) if depth else text
    if plain != text:
        within = list(_spans(plain, known, depth - 1))
        if within:
            yield from _mapped(within, text)


def _like_keys(text: str) -> Iterator[Span]:
    """Where something looks like a key."""
    end = 0
    for found in _matches(_KEY, text):
        at = found.start()
        prefix = _PREFIX.search(text[max(at - _LONGEST_PREFIX - 1, 0) : at]) if at >= end else None
        if prefix:
            rest = _REST_OF_KEY.match(text, at)
            start, end = at - len(prefix[0]), rest.end() if rest else at
            if _has_digit(text[start:end]):
                yield start, end
    for literal, pattern in _PATTERNS.items():
        if literal in text:
            yield from (found.span() for found in _matches(pattern, text) if _has_digit(found[0]))


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """The matches of a pattern, as `finditer` has them, but searched window by window: while `re` searches, no other
    thread runs."""
    at = 0
    while at < len(text):
        last, end = at + _WINDOW, at + _WINDOW + _BEYOND
        at = last
        for found in pattern.finditer(text, last - _WINDOW, end):
            if found.start() >= last:
                break
            whole = pattern.match(text, found.start()) if found.end() >= end else found
            if whole:
                yield whole
                at = max(last, whole.end())


def _plain(text: str) -> str:
    """The text without one level of escapes."""
    pieces, at = [], 0
    while at < len(text):
        end = _between_escapes(text, at)
        pieces.append(_ESCAPE.sub(_unescaped, text[at:end]))
        at = end
    return "".join(pieces)


def _between_escapes(text: str, start: int) -> int:
    """The end of the window from `start`, where no escape can be under way; the end of the text if there is none."""
    end = start + _WINDOW
    while start + _LONGEST_ESCAPE < end < len(text):
        begun = _BEGUN.search(text, end - _LONGEST_ESCAPE, end)
        if not begun:
            return end
        end = begun.start()
    return len(text)


def _unescaped(found: re.Match[str]) -> str:
    escape = found[0]
    if escape[0] == "%":
        return chr(int(escape[1:], 16))
    if escape[0] == "&":
        name = escape[1:-1]
        if name[0] != "#":
            return _NAMED[name]
        code = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
        return chr(code) if code < 256 else "?"
    return chr(int(escape[2:], 16)) if len(escape) > 2 else escape[1]


def _mapped(spans: Iterable[Span], text: str) -> Iterator[Span]:
    """The places in a text of places in the same text without its escapes."""
    places, shifts, shift = [0], [0], 0
    for found in _ESCAPE.finditer(text):
        start = found.start() - shift
        shift += len(found[0]) - 1
        places.append(start + 1)  # where the character after the escape stands
        shifts.append(shift)

    def of(place: int) -> int:
        return place + shifts[bisect_right(places, place) - 1]

    return ((of(start), of(end)) for start, end in spans)


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """The places in order, with those that overlap as one."""
    start = end = -1
    for first, last in sorted(spans):
        if first > end:
            if end > start:
                yield start, end
            start, end = first, last
        end = max(end, last)
    if end > start:
        yield start, end


@lru_cache(64)
def _pattern(secrets: frozenset[str]) -> re.Pattern[str] | None:
    """What finds these secrets, and their spellings that no escape explains; None without any.

    The spellings are grouped by how they begin, so that a text is not compared with each of many.
    """
    forms = sorted(
        {form for secret in secrets for form in _forms(secret)}, key=lambda form: (form[:2], -len(form), form)
    )
    groups = []
    for _, group in groupby(forms, key=lambda form: form[0]):
        pairs = [
            re.escape(pair) + "(?:" + "|".join(re.escape(form[2:]) for form in same) + ")"
            for pair, same in groupby(group, key=lambda form: form[:2])
        ]
        groups.append("(?:" + "|".join(pairs) + ")")
    return re.compile("|".join(groups)) if groups else None


def _forms(secret: str) -> Iterator[str]:
    """The secret as it is, in JSON, in hexadecimal, and within base64, whose text depends on how much comes before."""
    yield secret
    yield json.dumps(secret)[1:-1]
    data = secret.encode("latin-1", "replace")
    yield from (data.hex(), data.hex().upper())
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        text = b64encode(bytes(before) + data).decode()[first:last]
        if len(text) >= SHORTEST:
            yield from (text, text.replace("+", "-").replace("/", "_"))
