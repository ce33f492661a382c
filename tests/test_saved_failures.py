"""Failures are saved in any database of hypothesis: a folder, memory, Redis, several at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis.database import (
    DirectoryBasedExampleDatabase,
    ExampleDatabase,
    InMemoryExampleDatabase,
    MultiplexedDatabase,
    ReadOnlyDatabase,
)

import fakellm
from fakellm.cli import main
from fakellm.fuzzing import FuzzError
from fakellm.fuzzing.saved_failures import DatabaseError, Failures
from fakellm.fuzzing.search import Search
from tests import wrong_clients as wrong
from tests.redis_server import redis_server
from tests.saved_files import saved_files


def failures_of(place: str | Path | ExampleDatabase, cases: int = 30) -> str:
    """The report on a wrong client."""
    with pytest.raises(FuzzError) as caught:
        fakellm.fuzz(wrong.NeedsSpace(), profile="standard", examples=cases, failures=place)
    return str(caught.value)


def test_a_failure_is_tried_first_wherever_it_is_saved(tmp_path: Path) -> None:
    ours, shared = DirectoryBasedExampleDatabase(tmp_path / "ours"), InMemoryExampleDatabase()
    both = MultiplexedDatabase(ours, ReadOnlyDatabase(shared))
    assert "the next call tries it first, from MultiplexedDatabase" in failures_of(both)
    assert "1 failure in 1 case " in failures_of(both)
    assert "1 failure in 1 case " in failures_of(tmp_path / "ours")
    (file,) = saved_files(tmp_path / "ours")
    assert "# sse.space (T1: A4)\n" in file.read_text()
    shared.save(b"fakellm fuzz --api chat", file.read_bytes())
    assert "1 failure in 1 case " in failures_of(shared)


def test_a_failure_that_a_database_does_not_keep_is_still_reported() -> None:
    text = failures_of(ReadOnlyDatabase(InMemoryExampleDatabase()))
    assert "repeat the call with seed=0; the failure could not be saved: ReadOnlyDatabase cannot be written" in text


def test_what_a_later_version_saved_is_not_tried() -> None:
    database = InMemoryExampleDatabase()
    for value in (b"rules: [{reply: {content: a}, stream: {new: true}}]", b"\xff", b""):
        database.save(b"fakellm fuzz --api chat", value)
    assert "Not tried, because they cannot be read: 3 saved failures\n" in failures_of(database)


def test_a_saved_failure_belongs_to_one_shard() -> None:
    failures = Failures(InMemoryExampleDatabase())
    for number in range(9):
        failures.save("chat", f"rules: [{{reply: {{content: a{number}}}}}]", "plain")
    tried = [failures.rules(Search(shard=(number, 3)))[0] for number in (1, 2, 3)]
    assert sorted(rule.reply.content or "" for rules in tried for rule in rules) == [
        f"a{number}" for number in range(9)
    ]
    assert all(tried)


def test_a_database_that_fails_is_reported() -> None:
    class Broken(InMemoryExampleDatabase):
        def fetch(self, key: bytes) -> Iterator[bytes]:
            raise RuntimeError("it is down")

    with pytest.raises(DatabaseError, match="the failures in Broken cannot be read: it is down"):
        failures_of(Broken())


def test_redis_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "hypothesis.extra.redis", raising=False)
    with pytest.raises(DatabaseError, match=r"pip install 'fakellm-server\[redis\]'"):
        Failures("redis://localhost")


def test_redis_keeps_failures_for_every_machine(tmp_path: Path) -> None:
    with redis_server(tmp_path) as url:
        assert "the next call tries it first, from Redis" in failures_of(url)
        assert "1 failure in 1 case " in failures_of(url)


def test_a_redis_that_is_down_is_reported(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["fuzz", "--failures", f"unix://{tmp_path}/none", "--", "true"])
    assert done.exit_code == 2
    assert done.output.startswith("fakellm fuzz: the failures in Redis cannot be read: Error 2 connecting")
