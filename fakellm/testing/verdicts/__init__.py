"""Judges what an app did under faults and limits by what the providers ask of their clients.

A verdict is a pure function of the entries of a journal; no clock is read. docs/reference/verdict.md has the rules, and
the pages of the providers that they are from.
"""

from __future__ import annotations

from collections.abc import Iterable

from fakellm.engine.entry import Entry
from fakellm.testing.verdicts.attempts import attempts_of, chains_of
from fakellm.testing.verdicts.connections import connection_findings
from fakellm.testing.verdicts.conversations import conversation_findings
from fakellm.testing.verdicts.finding import ClientVerdict
from fakellm.testing.verdicts.retries import retry_findings
from fakellm.testing.verdicts.waits import wait_findings


def judge(entries: Iterable[Entry]) -> ClientVerdict:
    """The verdict on the client that sent the requests of these entries."""
    attempts = attempts_of(entries)
    chains = chains_of(attempts)
    found = [
        *retry_findings(chains, attempts),
        *wait_findings(chains),
        *conversation_findings(attempts),
        *connection_findings(attempts),
    ]
    return ClientVerdict(len(attempts), tuple(sorted(found, key=lambda finding: finding.requests)))
