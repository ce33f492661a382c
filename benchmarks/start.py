"""How long it takes to import fakellm and to start it, in fresh processes, and with 10,000 rules."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.table import Line

RULES = 10_000
_RULE = """\
- name: rule-{0}
  when: {{model: gpt-*, user: question {0}.}}
  reply:
    content: Answer {0}
"""
_BARE, _AIOHTTP, _PYTEST = "python -c pass", "import aiohttp.web", "import pytest"
_COMMANDS = {
    _BARE: "pass",
    _AIOHTTP: "import aiohttp.web",
    _PYTEST: "import pytest",
    "import fakellm": "import fakellm",
    "import of the pytest plugin": "import fakellm.testing.pytest_plugin",
}
_SERVE = "fakellm serve, until it is ready"
_TARGETS = {"import fakellm": (_BARE, 20.0), "import of the pytest plugin": (_PYTEST, 20.0), _SERVE: (_AIOHTTP, 20.0)}
"""Against what a subject is compared, and how many milliseconds longer it may take."""


def start(seconds: float, rounds: int) -> Iterator[Line]:
    """All in turn, at least eleven times; medians, and medians of the differences within a round."""
    times: dict[str, list[float]] = {name: [] for name in (*_COMMANDS, _SERVE)}
    for number in range(max(rounds, 11) + 1):
        for name in times:
            took = _until_ready() if name == _SERVE else _run(_COMMANDS[name])
            if number:  # the first round writes what is compiled, and fills the file cache
                times[name].append(took * 1000)
    for name, values in times.items():
        base, limit = _TARGETS.get(name, ("", 0.0))
        if not base:
            yield Line("start", name, f"{median(values):.0f} ms")
            continue
        longer = median(value - other for value, other in zip(values, times[base], strict=True))
        result = f"{median(values):.0f} ms, {longer:+.0f} ms to {base}"
        yield Line("start", name, result, target=("<=", limit), checked=longer)


def rules(seconds: float, rounds: int) -> Iterator[Line]:
    """`fakellm serve` until it is ready, with 10,000 rules in one file and in as many files."""
    for files, limit in ((1, 1.0), (RULES, 2.0)):
        with TemporaryDirectory() as folder:
            for number in range(files):
                texts = "".join(_RULE.format(each) for each in range(number, RULES, files))
                Path(folder, f"{number:05}.yaml").write_text("rules:\n" + texts, encoding="utf-8")
            path = folder if files > 1 else str(Path(folder, "00000.yaml"))
            took = median(_until_ready(path) for _ in range(min(rounds, 3)))
        subject = f"{RULES:,} rules in {files:,} file{'s' if files > 1 else ''}"
        yield Line("rules", subject, f"ready after {took:.2f} s", target=("<=", limit), checked=took)


def _run(code: str) -> float:
    before = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return perf_counter() - before


def _check_last_rule(url: str) -> None:
    messages = [{"role": "user", "content": f"question {RULES - 1}."}]
    body = json.dumps({"model": "gpt-4o", "messages": messages}).encode()
    with urllib.request.urlopen(f"{url}/v1/chat/completions", body) as reply:
        assert f"Answer {RULES - 1}" in reply.read().decode()


def _until_ready(*scenario: str) -> float:
    command = [sys.executable, "-m", "fakellm", "serve", "--port", "0", "--ready", "json", "--watch-stdin", *scenario]
    before = perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        line = process.stdout.readline()
        took = perf_counter() - before
        if not line:
            raise RuntimeError("fakellm serve did not start")
        if scenario:
            _check_last_rule(json.loads(line)["url"])
        process.stdin.close()
    return took
