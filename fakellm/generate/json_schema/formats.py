"""Makes texts of the formats of JSON Schema, and plausible texts for fields with well-known names.

https://json-schema.org/draft/2020-12/json-schema-validation#name-defined-formats
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from fakellm.base.seed import ALNUM, HEX, Source
from fakellm.generate import prose

Maker = Callable[[Source], str]

_FIRST = ("Ada", "Alan", "Edsger", "Emmy", "Grace", "Katherine", "Mary", "Niklaus")
_LAST = ("Lovelace", "Turing", "Dijkstra", "Noether", "Hopper", "Johnson", "Shelley", "Wirth")
_CITIES = ("Oslo", "Lisbon", "Kyoto", "Nairobi", "Quito", "Toronto", "Vienna", "Wellington")
_COUNTRIES = ("Norway", "Portugal", "Japan", "Kenya", "Ecuador", "Canada", "Austria", "New Zealand")
_WORDS = ("alpha", "birch", "copper", "delta", "ember", "fjord", "grove", "harbour")


def _date(source: Source) -> str:
    return f"20{source.between(20, 29)}-{source.between(1, 12):02}-{source.between(1, 28):02}"


def _time(source: Source) -> str:
    return f"{source.below(24):02}:{source.below(60):02}:{source.below(60):02}Z"


def _uuid(source: Source) -> str:
    digits = source.uuid()
    return f"{digits[:14]}4{digits[15:19]}{source.choice('89ab')}{digits[20:]}"  # version 4, its variant


def _host(source: Source) -> str:
    return f"{source.choice(_WORDS)}.example.{source.choice(('com', 'org', 'net'))}"


def _email(source: Source) -> str:
    return f"{source.choice(_FIRST).lower()}.{source.choice(_LAST).lower()}@{_host(source)}"


def _url(source: Source) -> str:
    return f"https://{_host(source)}/{source.choice(_WORDS)}/{source.below(1000)}"


FORMATS: Mapping[str, Maker] = {
    "date": _date,
    "time": _time,
    "date-time": lambda source: f"{_date(source)}T{_time(source)}",
    "duration": lambda source: f"P{source.between(1, 30)}DT{source.between(1, 23)}H",
    "email": _email,
    "idn-email": _email,
    "hostname": _host,
    "idn-hostname": _host,
    "uri": _url,
    "iri": _url,
    "url": _url,
    "uri-reference": _url,
    "iri-reference": _url,
    "uri-template": lambda source: f"https://{_host(source)}/{{id}}",
    "uuid": _uuid,
    "ipv4": lambda source: f"192.0.2.{source.between(1, 254)}",
    "ipv6": lambda source: f"2001:db8::{source.text(HEX[1:], 4)}",
    "json-pointer": lambda source: f"/{source.choice(_WORDS)}/{source.below(10)}",
    "relative-json-pointer": lambda source: f"{source.below(3)}/{source.choice(_WORDS)}",
    "regex": lambda source: f"^{source.choice(_WORDS)}[0-9]+$",
    "byte": lambda source: source.text(ALNUM, 12),
    "base64": lambda source: source.text(ALNUM, 12),
}

_NAMED: Mapping[str, Maker] = {
    "name": lambda source: f"{source.choice(_FIRST)} {source.choice(_LAST)}",
    "first": lambda source: source.choice(_FIRST),
    "last": lambda source: source.choice(_LAST),
    "city": lambda source: source.choice(_CITIES),
    "location": lambda source: source.choice(_CITIES),
    "country": lambda source: source.choice(_COUNTRIES),
    "email": _email,
    "url": _url,
    "phone": lambda source: f"+1-555-01{source.below(100):02}",
    "date": _date,
    "time": lambda source: _time(source)[:5],
    "id": lambda source: f"{source.choice(_WORDS)}-{source.below(1000)}",
    "description": lambda source: prose.text(source, 1),
    "summary": lambda source: prose.text(source, 1),
}


def plausible(name: str, source: Source) -> str:
    """A text for a field with this name: a city for `home_city` and `homeCity`, a few words for unknown names."""
    parts = re.findall(r"[A-Z]?[a-z]+", name)
    known = {part.lower() for part in parts[:1] if parts[1:] and parts[1].lower() == "name"} & {"first", "last"}
    maker = _NAMED.get(next(iter(known), parts[-1].lower() if parts else ""), prose.words)
    return maker(source)
