"""Fails if a test was skipped in every run: `never_run.py REPORT.xml...`, the reports of pytest's --junitxml.

Tests of clients run in several environments, none of which has all clients, so a skip is an error only if no other
run has run that test. Without the recordings (FAKELLM_CORPUS), the tests on them may be skipped.
"""

from __future__ import annotations

import os
import sys
from xml.etree import ElementTree


def main(reports: list[str]) -> int:
    ran: set[str] = set()
    skipped: dict[str, str] = {}
    for report in reports:
        for case in ElementTree.parse(report).iter("testcase"):
            name = f"{case.get('classname')}::{case.get('name')}"
            skip = case.find("skipped")
            if skip is None or skip.get("type") == "pytest.xfail":  # an expected failure has run
                ran.add(name)
            else:
                skipped[name] = skip.get("message") or ""
    never = {name: reason for name, reason in skipped.items() if name not in ran}
    if not os.environ.get("FAKELLM_CORPUS"):
        never = {name: reason for name, reason in never.items() if "recordings are not here" not in reason}
    for name, reason in sorted(never.items()):
        print(f"never run: {name}: {reason}")
    print(f"{len(ran)} tests have run, {len(never)} were skipped in every run")
    return 1 if never else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
