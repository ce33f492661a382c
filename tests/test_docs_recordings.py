"""The examples of docs/reference/recordings.md that serve: each command and script runs as it stands there, but for its port."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import fakellm
from fakellm.recordings.formats import read_file
from fakellm.testing.handle import Handle
from tests.conftest import ROOT, chat
from tests.wire_reader import receive

TEXT = (ROOT / "docs" / "reference" / "recordings.md").read_text(encoding="utf-8")
EXAMPLES: dict[str, str] = dict(re.findall(r"<!-- (\w+: \w+) -->\n```\w+\n(.*?)```", TEXT, re.DOTALL))


@contextmanager
def running(command: str, folder: Path, upstream: str = "") -> Iterator[Handle]:
    """The server that a command of the document starts, on a free port and for this upstream."""
    arguments = shlex.split(command)[1:]
    if upstream:
        arguments[arguments.index("--upstream") + 1] = upstream
    whole = [sys.executable, "-m", "fakellm", *arguments, "--port", "0"]
    with subprocess.Popen(whole, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        found = re.search(r" at (http://\S+)/v1 ", process.stdout.readline())
        assert found
        yield Handle(found[1])
        process.terminate()


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """The folder in which `hi.sse` was recorded with the document's one line of curl."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    with fakellm.serve() as server:
        line = EXAMPLES["run: curl"].replace("http://127.0.0.1:8080", server.url)
        subprocess.run(line, shell=True, cwd=tmp_path, check=True)
    return tmp_path


def test_one_line_of_curl_is_a_recording(recorded: Path) -> None:
    with running(EXAMPLES["run: replay"], recorded) as server:
        got = receive(server.base_url + "/chat/completions", chat(stream=True))
    assert got.body == (recorded / "hi.sse").read_bytes()
    assert got.pieces[-1] == b"data: [DONE]\n\n"


def test_the_recorder_of_the_document_records(tmp_path: Path) -> None:
    with fakellm.serve() as upstream, running(EXAMPLES["run: record"], tmp_path, upstream.base_url) as server:
        got = receive(server.base_url + "/chat/completions", chat(stream=True))
    assert [each.response.body for each in read_file(tmp_path / "session.jsonl").interactions] == [got.body]


@pytest.mark.parametrize("mark", ["test: replay", "test: record"])
def test_a_script_of_the_document_runs(mark: str, recorded: Path) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", EXAMPLES[mark]], cwd=recorded, check=True, timeout=60)


def test_no_example_is_left_out() -> None:
    used = {"run: curl", "run: replay", "run: record", "test: replay", "test: record"}
    assert set(EXAMPLES) == used
