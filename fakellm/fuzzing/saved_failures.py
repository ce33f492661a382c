"""Saves failures as scenarios that serve the failing streams, in a database of hypothesis.

Owns how a failure is written, and which databases there are: a folder, Redis, or any other that hypothesis has. Which
failures are tried when is decided elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from fakellm.apis.route import CHAT
from fakellm.base.errors import FakellmError, ScenarioError
from fakellm.fuzzing.endpoints import name_of
from fakellm.fuzzing.running.case_order import rule_of
from fakellm.fuzzing.search import ClientFailure, Search
from fakellm.scenarios.loader import load, parse
from fakellm.scenarios.matching import When
from fakellm.scenarios.scenario import Rule, Scenario

if TYPE_CHECKING:
    from hypothesis.database import ExampleDatabase

FOLDER = Path(".fakellm", "failures")
"""Where failures are saved, relative to the working directory."""
_SCHEMES = ("redis", "rediss", "unix")
_PATIENCE = 10
"""Seconds to wait for Redis, if its URL does not set them."""


class DatabaseError(FakellmError):
    """Saved failures cannot be read."""


def scenario_of(failure: ClientFailure) -> Scenario:
    """The failing rule as a scenario named after its cause. A rule that must be answered first comes before it."""
    verdict = failure.case.verdict
    cause = (*(step.name for step in failure.case.steps), verdict.outcome, verdict.field)
    name = re.sub(r"[^a-z0-9]+", "-", " ".join(filter(None, cause)).lower()).strip("-")
    before = [msgspec.structs.replace(failure.before, when=When(turn=1))] if failure.before else []
    rule, api = failure.case.rule, failure.case.api
    if api is not CHAT:
        rule = msgspec.structs.replace(rule, when=When(api=name_of(api)))
        before = [msgspec.structs.replace(each, when=When(turn=1, api=name_of(api))) for each in before]
    return Scenario(name=name[:100], rules=(*before, rule))


class Failures:
    """Saved failures: ``Failures(FOLDER)``, ``Failures("redis://localhost")`` or a database of hypothesis.

    Raises DatabaseError if the package for Redis is not installed, and ValueError for an invalid URL.
    """

    def __init__(self, place: str | Path | ExampleDatabase) -> None:
        from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase

        self._folder: Path | None = None
        if isinstance(place, ExampleDatabase):
            self._database, self.name = place, type(place).__name__
        elif urlsplit(str(place)).scheme in _SCHEMES:
            self._database, self.name = _redis(str(place)), "Redis"
        else:
            self._folder, self.name = Path(place), str(place)
            self._database = DirectoryBasedExampleDatabase(place)

    def rules(self, search: Search) -> tuple[list[Rule], int]:
        """The rules of the failures that belong to the API and the shard of the search, and how many failures cannot
        be read, as those of a later version. Raises DatabaseError if none can."""
        number, shards = search.shard
        rules: list[Rule] = []
        unreadable = 0
        for digest, value in sorted((_digest(value), value) for value in self._values(name_of(search.api))):
            if digest % shards != number - 1:
                continue
            try:
                scenario = parse(value.decode(), self.name)
            except (ScenarioError, UnicodeError):
                unreadable += 1
            else:
                rules += (msgspec.structs.replace(each, when=When(turn=each.when.turn)) for each in _rules(scenario))
        return rules, unreadable

    def _values(self, api: str) -> set[bytes]:
        try:
            return set(self._database.fetch(_key(api)))
        except Exception as error:  # a database may raise anything
            raise DatabaseError(f"the failures in {self.name} cannot be read: {error}") from None

    def save(self, api: str, scenario: str, title: str) -> Path | None:
        """Saves a failure of an API's client: a scenario as YAML, with a comment above it. Returns the file, if
        failures are saved in a folder. Raises OSError if the failure cannot be saved."""
        value = f"# {''.join(map(_printable, title))}\n{scenario}".encode()
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)  # hypothesis does not report what is wrong with a folder
        try:
            self._database.save(_key(api), value)
            saved = value in set(self._database.fetch(_key(api)))
        except Exception as error:  # a database may raise anything
            raise OSError(str(error)) from None
        if not saved:
            raise OSError(f"{self.name} cannot be written")
        files = self._folder.glob("*/*") if self._folder else ()
        return next((file for file in files if file.read_bytes() == value), None)


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _key(api: str) -> bytes:
    return f"fakellm fuzz --api {api}".encode()


def _digest(value: bytes) -> int:
    return int.from_bytes(blake2b(value, digest_size=8).digest(), "big")


def _redis(url: str) -> ExampleDatabase:
    try:
        from hypothesis.extra.redis import RedisExampleDatabase
        from redis import Redis
    except ImportError:
        raise DatabaseError("failures in Redis need the package redis: pip install 'fakellm-server[redis]'") from None
    return RedisExampleDatabase(Redis.from_url(url, socket_connect_timeout=_PATIENCE, socket_timeout=_PATIENCE))


def rules_of(file: Path) -> Iterator[Rule]:
    """The rules of a scenario file, each with its dialect."""
    return _rules(load(file))


def _rules(scenario: Scenario) -> Iterator[Rule]:
    return (rule_of(Scenario(dialect=scenario.dialect, rules=(rule,))) for rule in scenario.rules)
