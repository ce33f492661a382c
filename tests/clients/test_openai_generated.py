"""The tests that OpenAI's SDK is generated with call each method of `responses`, with as few and with all parameters,
and check the types of what is returned. They are in the SDK's source distribution, which is not in this repository.

They pass, or the server refuses the request as OpenAI does: for an id that was never issued, and for what cannot be
answered.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

import fakellm

FOLDER = Path(os.environ.get("FAKELLM_OPENAI_TESTS") or "absent")
pytestmark = [
    pytest.mark.skipif(
        not (FOLDER / ".venv").exists(),
        reason="FAKELLM_OPENAI_TESTS does not name the unpacked source distribution of openai, with an environment for its "
        "tests",
    ),
    pytest.mark.filterwarnings("ignore"),  # of what clients of other tests left open
]

REFUSALS = {
    "an id that was never issued": r"Error code: 40[04] - (Previous response|Response|Conversation) with id '\w+' not found",
    "no model and no input": r"Error code: 400 - Missing required parameter: 'model'",
    "two conversations": r"Error code: 400 - Mutually exclusive parameters: 'previous_response_id' and 'conversation'",
}


def test_each_method_of_responses_returns_what_its_type_says(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    resources = "tests/api_resources/"
    files = [f"{resources}test_responses.py", f"{resources}responses"]
    options = ["-q", "-n0", "-p", "no:cacheprovider", f"--junitxml={report}"]
    with fakellm.serve() as server:
        environment = {**os.environ, "TEST_API_BASE_URL": server.base_url}
        command = [str(FOLDER / ".venv" / "bin" / "python"), "-m", "pytest", *options, *files]
        run = subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, text=True, check=False)
    assert report.exists(), run.stdout + run.stderr
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = {case.get("name"): failure.get("message", "") for case in cases for failure in case.findall("failure")}
    errors = {case.get("name"): error.get("message", "") for case in cases for error in case.findall("error")}
    assert not errors
    assert {name: message for name, message in failed.items() if not refused(message)} == {}
    assert len(cases) > len(failed)


def refused(message: str) -> bool:
    return any(re.search(pattern, message) for pattern in REFUSALS.values())
