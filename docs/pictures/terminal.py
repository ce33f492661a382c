"""A terminal session: commands that were really run, and what they printed.

What differs from one run to the next is replaced before it is drawn: the port, and how long the tests took.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import wrap

from docs.pictures.canvas import WIDTH, Picture, columns

TITLE = (
    "A terminal session: fakellm init, tests that pass, a streamed reply, and a client in which the fuzzer finds a bug."
)
COLUMNS = columns(WIDTH - 28, "small")
CLIENT = """\
import json, urllib.request
from fakellm.drivers.loop import run

def answer(base_url, request, timeout):
    body = json.dumps(request).encode()
    with urllib.request.urlopen(base_url + "/chat/completions", body, timeout=timeout) as response:
        lines = [json.loads(line[6:]) for line in response if line.startswith(b"data: {")]
    choices = (choice for line in lines for choice in line["choices"] if choice["index"] == 0)
    return {"content": "".join(choice["delta"].get("content") or "" for choice in choices)}

run(answer)
"""
"""A client that expects a delta in each choice."""
REQUEST = '{"model": "gpt-5", "stream": true, "messages": [{"role": "user", "content": "How is the weather?"}]}'
SHOWN = (
    "fakellm init | grep wrote",
    "pytest -q",
    "fakellm serve fakellm.yaml &",
    "curl -sN localhost:8080/v1/chat/completions -d @ask.json |\n  grep -o '\"delta\":{[^}]*}' | head -n 4",
    "fakellm fuzz -q -- python client.py | grep -v '^$' | head -n 17",
)
"""The commands of the session, as they are typed."""


def session() -> list[tuple[str, str]]:
    """Each command, with what it printed."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "client.py").write_text(CLIENT, encoding="utf-8")
        (folder / "ask.json").write_text(REQUEST, encoding="utf-8")
        init, test, serve, ask, fuzz = SHOWN
        found = [(each, _output(each, folder)) for each in (init, test)]
        with subprocess.Popen(
            [*shlex.split(serve.removesuffix(" &")), "--port", "0"],
            cwd=folder,
            env=_environment(),
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            assert server.stdout
            started = server.stdout.readline() + server.stdout.readline()
            url = started.split()[-1]
            found += [(serve, started.replace(url, "http://127.0.0.1:8080"))]
            found += [(ask, _output(ask.replace("localhost:8080", url), folder))]
            server.terminate()
        return [*found, (fuzz, _output(fuzz, folder))]


def draw() -> str:
    """The picture as SVG."""
    lines = [line for command, output in session() for line in _lines(command, output)]
    picture = Picture(TITLE, 44 + _ROW * len(lines))
    for number in range(3):
        picture.box(14 + 16 * number, 12, 9, 9)
    for row, (text, kind) in enumerate(lines):
        picture.text(14, 44 + _ROW * row, text, f"small {kind}".strip())
    return picture.svg()


_ROW = 15


def _lines(command: str, output: str) -> Iterator[tuple[str, str]]:
    """The lines of a command and of what it printed, as a terminal of this width breaks them, each with its kind."""
    prompt, *more = command.splitlines()
    yield f"$ {prompt}", "accent bold"
    yield from ((line, "accent bold") for line in more)
    for line in output.rstrip("\n").splitlines():
        kind = "bad" if re.match(r"\d+ failure|\d+\. ", line) else "good" if " passed" in line else ""
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        yield from (
            (part, kind) for part in wrap(line, COLUMNS, subsequent_indent=indent, break_on_hyphens=False) or [""]
        )
    yield "", ""


def _output(command: str, folder: Path) -> str:
    """What a command prints, with the times that differ from run to run replaced."""
    done = subprocess.run(
        ["bash", "-c", f"{{ {command}; }} 2>&1"],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return re.sub(r"in \d+\.\d+s", "in 0.08s", done.stdout)


_FOREIGN = ("PYTEST", "FAKELLM", "GITHUB", "COV")
_LEAN = "-p no:cacheprovider -p no:asyncio -p no:anyio -p no:randomly -p no:xdist -p no:hypothesispytest"
"""Without the other plugins that happen to be installed, which print lines of their own."""


def _environment() -> dict[str, str]:
    """The environment, with the commands of this Python, and without what would change their output."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "FAKELLM", "GITHUB", "COV"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "COLUMNS": str(COLUMNS), "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "PYTEST_ADDOPTS": _LEAN}
