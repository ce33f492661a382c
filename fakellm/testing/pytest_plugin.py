"""The pytest plugin: one server per test process, a new session for each test.

Owns the two fixtures and the failures at the end of a test. Every pytest run in an environment with this package
imports this file, so it imports nothing slow until a fixture is used.
"""

from __future__ import annotations

import os
from argparse import ArgumentTypeError
from collections.abc import Generator, Iterator
from contextlib import ExitStack, nullcontext, suppress
from importlib import import_module
from math import inf
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fakellm.testing.handle import Handle

with suppress(ImportError):  # a run without these fixtures does not need the server
    import_module("fakellm.base")  # from here on, missing names are explained if the package is damaged


_RECORDING = "fakellm_recording"


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"must be a whole number from 0, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < inf:
        raise ArgumentTypeError(f"must be a number of seconds above 0, got {text!r}")
    return seconds


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fakellm")
    group.addoption(
        "--fakellm-vary",
        type=_count,
        default=0,
        metavar="N",
        help="run each test that uses the fixture `fakellm` N more times, with its replies sent in other ways that "
        "mean the same, and report the smallest difference that fails it",
    )
    group.addoption(
        "--fakellm-faults",
        type=_count,
        default=0,
        metavar="N",
        help="run each such test N more times, each with one reply broken in another way, and report those that do "
        "not end, or pass although no whole reply was sent afterwards",
    )
    group.addoption(
        "--fakellm-patience",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long a test with a broken reply may take (default: 10)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{_RECORDING}(upstream=None, file=None): the fixture `fakellm` answers from a recording; if there is none, it "
        "is made from the API at the base URL `upstream`",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes whether a test with a recording has failed."""
    report = yield
    if call.when == "call" and item.get_closest_marker(_RECORDING):
        from fakellm.testing.recorded import FAILED

        item.stash[FAILED] = report.failed
    return report


def _reruns(config: pytest.Config) -> bool:
    """Whether tests run more than once."""
    return bool(config.option.fakellm_vary or config.option.fakellm_faults)


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Runs a test more than once, if the options ask for it."""
    if not _reruns(item.config) or "fakellm" not in getattr(item, "fixturenames", ()):
        return None
    if item.get_closest_marker(_RECORDING):  # its replies are those of the recording
        return None
    from fakellm.testing.rerun import protocol

    option = item.config.option
    protocol(item, nextitem, option.fakellm_vary, option.fakellm_faults, option.fakellm_patience)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says how many tests ran again with changed replies, and why others did not."""
    if _reruns(config):
        from fakellm.testing.rerun import summary

        for line in summary(each for reports in terminalreporter.stats.values() for each in reports):
            terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Ends a test with a broken reply that takes too long; its fixtures may take their time."""
    if not item.config.option.fakellm_faults:
        return (yield)
    from fakellm.testing.alarm import ALARM

    alarm = item.stash.get(ALARM, None)
    with alarm.armed() if alarm else nullcontext():
        return (yield)


@pytest.fixture(scope="session")
def fakellm_server() -> Iterator[Handle]:
    """A fake LLM server for the whole test run, in a thread; one per xdist worker."""
    import fakellm
    import fakellm.base  # explains the error if another distribution has overwritten this package

    with fakellm.serve() as server:
        yield server


@pytest.fixture
def fakellm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Handle]:
    """A session for this test, to which the environment variables of the usual SDKs point.

    It answers with generated text until a scenario is loaded, and from then on only with that scenario: a request that
    no rule matches is refused and fails the test at its end. So does a request to an unknown URL. With the marker
    `fakellm_recording`, it answers from a recording instead: see `fakellm.testing.recorded`.
    """
    with ExitStack() as stack:
        marker, records = request.node.get_closest_marker(_RECORDING), False
        if marker:
            from fakellm.testing.recorded import recorded

            session, records = stack.enter_context(recorded(request.node, *marker.args, **marker.kwargs))
        else:
            from fakellm.testing.names import session_name

            session = request.getfixturevalue("fakellm_server").session(session_name(request.node.nodeid), strict=True)
        if _reruns(request.config) and not marker:
            from fakellm.testing.rerun import CHANGED

            session.vary(request.node.stash.get(CHANGED, None))
            stack.callback(session.vary, None)
        own = {name for name in os.environ if name.endswith("_KEY")} if records else set()  # for the real API
        if "GEMINI_API_KEY" in own:
            own.add("GOOGLE_API_KEY")
        elif not records:
            monkeypatch.delenv("GEMINI_API_KEY", raising=False)  # see `Handle.env`
        for name, value in session.env.items():
            if name not in own:
                monkeypatch.setenv(name, value)
        monkeypatch.setenv("NO_PROXY", ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])))
        yield session
        _check(session)


def _check(session: Handle) -> None:
    """Fails a test at its end for what its session could not answer, and resets the session."""
    unmatched, dropped = session.unmatched()
    session.reset()
    if errors := session.raised():
        from fakellm.testing.functions import raise_first

        raise_first(errors)
    if unmatched or dropped:
        lines = [f"earlier requests, which the journal no longer has: {dropped}"] if dropped else []
        lines += [f"request {entry.number}, {entry.method} {entry.path}: {entry.explanation}" for entry in unmatched]
        pytest.fail("fakellm: no rule answered\n" + "\n".join(lines), pytrace=False)
