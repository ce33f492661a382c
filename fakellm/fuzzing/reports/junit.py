"""Writes a report as JUnit XML, as CI servers read it. Owns which test cases there are and how they are named.

Each step that was tried is a test case, in a class named after its tier, so that a server shows since when it fails.
The elements and attributes are those that Jenkins knows:
https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from fakellm.base.words.count import count
from fakellm.fuzzing.reports.run_report import ReportedFailure, RunReport

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not allow, even as references."""


def as_junit(run: RunReport) -> bytes:
    """The report as a file of JUnit XML."""
    found = _named(run.failures)
    tried = {(tier, step): cases for tier, steps in run.tried.items() for step, cases in steps.items()}
    names = sorted(dict.fromkeys([*tried, *found]))
    counts = {"tests": len(names) + bool(run.problem), "failures": len(found), "errors": int(bool(run.problem))}
    total = {name: str(number) for name, number in counts.items()}
    root = Element("testsuites", {"name": "fakellm fuzz", **total})
    suite = SubElement(root, "testsuite", {"name": f"fakellm fuzz {run.settings.api}", **total})
    _add_properties(suite, run)
    for tier, name in names:
        case = _case(suite, run, tier, name)
        if failure := found.get((tier, name)):
            _add(case, "failure", failure.outcome, failure.summary, f"{failure.title}\n{failure.text}")
        if cases := tried.get((tier, name)):
            SubElement(case, "system-out").text = f"tried in {count(cases, 'case')}"
    if run.problem:
        _add(_case(suite, run, "run", "all cases were tried"), "error", "missing", run.problem, run.problem)
    indent(root)
    data: bytes = tostring(root, "utf-8", xml_declaration=True)
    return data + b"\n"


def _named(failures: list[ReportedFailure]) -> dict[tuple[str, str], ReportedFailure]:
    """The failures by the tiers and names of their test cases: the step that fails, or all that fail together."""
    found: dict[tuple[str, str], ReportedFailure] = {}
    for failure in failures:
        name = " with ".join(failure.steps) or "the plain wire"
        others = sum(key[1].partition(" (")[0] == name for key in found)
        found[failure.tier, f"{name} ({others + 1})" if others else name] = failure
    return found


def _add_properties(suite: Element, run: RunReport) -> None:
    settings = run.settings
    properties = SubElement(suite, "properties")
    for name, value in {"profile": settings.profile, "seed": settings.seed, "cases": run.cases}.items():
        SubElement(properties, "property", {"name": name, "value": str(value)})


def _case(suite: Element, run: RunReport, tier: str, name: str) -> Element:
    classname = f"fakellm.fuzz.{run.settings.api}.{tier}"
    return SubElement(suite, "testcase", {"classname": classname, "name": _valid(name)})


def _add(case: Element, tag: str, kind: str, message: str, text: str) -> None:
    SubElement(case, tag, {"type": kind, "message": _valid(message)}).text = _valid(text)


def _valid(text: str) -> str:
    return _NOT_XML.sub(lambda found: found.group().encode("unicode_escape").decode(), text)
