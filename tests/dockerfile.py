"""Reads a Dockerfile, and runs its steps without a daemon: in one folder that stands for the file systems of its stages.

A path of the image is `folder` + path. It knows the instructions that ours has, and refuses others.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import NamedTuple


class Step(NamedTuple):
    instruction: str
    argument: str

    @property
    def words(self) -> list[str]:
        """The argument of an instruction in JSON, or its words."""
        found: list[str] = json.loads(self.argument) if self.argument.startswith("[") else self.argument.split()
        return found


def steps(text: str) -> list[Step]:
    """The steps of a Dockerfile, in order."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [Step(*re.split(r"\s+", line.strip(), maxsplit=1)) for line in joined if line.strip()]


class Image:
    """What the steps have made so far. `context`: the folder that they copy from."""

    def __init__(self, folder: Path, context: Path) -> None:
        self.folder = folder
        self.context = context
        self.user = "root"
        self.workdir = "/"
        self.environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        self.entrypoint: list[str] = []
        self.command: list[str] = []
        self.health: list[str] = []

    def place(self, path: str) -> Path:
        """Where a path of the image is."""
        return self.folder / str(PurePosixPath(self.workdir, path)).lstrip("/")

    def located(self, text: str) -> str:
        """A command whose absolute paths are those of the folder."""
        return re.sub(r"(?<![\w.:/])/(venv|source|wheels|scenarios)\b", lambda found: f"{self.folder}/{found[1]}", text)

    def run(self, step: Step) -> None:
        """Runs one step."""
        getattr(self, f"_{step.instruction.lower()}")(step)

    def _from(self, step: Step) -> None:
        assert re.match(r"python:3\.\d+-slim\b", step.argument)
        self.workdir, self.user = "/", "root"

    def _workdir(self, step: Step) -> None:
        self.workdir = step.argument
        self.place("").mkdir(parents=True, exist_ok=True)

    def _copy(self, step: Step) -> None:
        *sources, target = step.words
        if sources[0].startswith("--from="):
            assert sources[1] == target  # all stages have one folder
            return
        for source in sources:
            found = self.context / source
            if found.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "node_modules")
                shutil.copytree(found, self.place(target), ignore=ignored)
            else:
                shutil.copy(found, self.place(target))

    def _run(self, step: Step) -> None:
        subprocess.run(["sh", "-ec", self.located(step.argument)], check=True, cwd=self.place(""), env=self.environment)

    def _env(self, step: Step) -> None:
        for word in step.words:
            name, _, value = word.partition("=")
            self.environment[name] = self.located(value.replace("$PATH", self.environment["PATH"]))

    def _user(self, step: Step) -> None:
        self.user = step.argument

    def _expose(self, step: Step) -> None:
        assert step.argument == "8080"

    def _healthcheck(self, step: Step) -> None:
        self.health = json.loads(step.argument.partition("CMD ")[2])

    def _entrypoint(self, step: Step) -> None:
        self.entrypoint = step.words

    def _cmd(self, step: Step) -> None:
        self.command = step.words
