"""The Dockerfile and the GitHub Action: checked by their linters, and run without a daemon."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.dockerfile import Image, Step, steps

DOCKERFILE = steps((ROOT / "Dockerfile").read_text(encoding="utf-8"))
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_the_image_does_not_run_as_root_and_has_a_health_check() -> None:
    last = {step.instruction: step for step in DOCKERFILE}
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"].argument)
    assert last["HEALTHCHECK"].argument.partition("CMD ")[2].startswith("[")
    assert len([step for step in DOCKERFILE if step.instruction == "FROM"]) == 2


def test_every_file_that_is_copied_is_sent_to_the_daemon() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for step in DOCKERFILE if step.instruction == "COPY" for word in step.words[:-1]}
    assert allowed == {word for word in copied if not word.startswith(("--", "/"))}
    assert all((ROOT / name).exists() for name in allowed)


@pytest.mark.skipif("FAKELLM_IMAGE" not in os.environ, reason="installs packages; set FAKELLM_IMAGE=1")
def test_the_steps_of_the_image_give_a_server_that_is_healthy_with_a_read_only_file_system(tmp_path: Path) -> None:
    image = Image(tmp_path / "image", ROOT)
    for step in DOCKERFILE:
        image.run(step)
    assert image.command == ["serve", "--host", "0.0.0.0"]
    shutil.rmtree(image.place("/source"))
    before = set(image.folder.rglob("*"))
    command = [shutil.which(image.entrypoint[0], path=image.environment["PATH"]) or "", "serve", "--port", "0"]
    assert command[0].startswith(str(image.folder))
    pipe = subprocess.PIPE
    arguments = [*command, "--ready", "json", "--watch-stdin"]
    environment = image.environment | {"HOME": "/nonexistent", "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        arguments, stdin=pipe, stdout=pipe, text=True, cwd=image.place(""), env=environment
    ) as process:
        assert process.stdin
        assert process.stdout
        url = json.loads(process.stdout.readline())["url"]
        health = [word.replace("http://127.0.0.1:8080", url) for word in image.health]
        health[0] = str(image.folder / "venv/bin/python")
        assert subprocess.run(health, check=False).returncode == 0
        with urllib.request.urlopen(url + "/metrics") as reply:
            assert b"fakellm_requests" in reply.read()
        process.stdin.close()
    assert process.returncode == 0
    assert subprocess.run(health, check=False, stderr=subprocess.DEVNULL).returncode != 0
    assert set(image.folder.rglob("*")) == before


def test_the_steps_of_the_action_start_a_server(tmp_path: Path) -> None:
    """All but the first, which installs the package."""
    install, start = ACTION["runs"]["steps"]
    assert '"$GITHUB_ACTION_PATH"' in install["run"]
    scripts = tmp_path / "fakellm" / "bin"
    scripts.mkdir(parents=True)
    scripts.joinpath("fakellm").symlink_to(Path(sys.executable).with_name("fakellm"))
    inputs = {name: each["default"] for name, each in ACTION["inputs"].items()} | {"arguments": "--seed 7 --strict"}
    expression = re.compile(r"\$\{\{ inputs\.(\w+) \}\}")
    env = {name: expression.sub(lambda found: inputs[found[1]], value) for name, value in start["env"].items()}
    output = tmp_path / "output"
    runner = {"RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": str(output)}
    script = start["run"] + "\necho $! > $RUNNER_TEMP/pid\n"
    subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], check=True, env={**os.environ, **env, **runner}, timeout=60
    )
    pid = int((tmp_path / "pid").read_text())
    try:
        found = dict(line.split("=", 1) for line in output.read_text().splitlines())
        assert {f"${{{{ steps.start.outputs.{name} }}}}" for name in found} == {
            each["value"] for each in ACTION["outputs"].values()
        }
        with urllib.request.urlopen(found["url"] + "/_fakellm/health") as reply:
            facts = json.load(reply)
        assert (facts["seed"], facts["strict"]) == (7, True)
        assert found["base-url"] == found["url"] + "/v1"
    finally:
        os.kill(pid, signal.SIGTERM)


def test_the_action_shows_why_its_server_did_not_start(tmp_path: Path) -> None:
    _, start = ACTION["runs"]["steps"]
    scripts = tmp_path / "fakellm" / "bin"
    scripts.mkdir(parents=True)
    scripts.joinpath("fakellm").symlink_to(Path(sys.executable).with_name("fakellm"))
    env = {"SCENARIO": "nowhere.yaml", "ARGUMENTS": "", "PORT": "0"}
    runner = {"RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": str(tmp_path / "output")}
    ran = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", start["run"]],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env, **runner},
        timeout=60,
    )
    assert ran.returncode == 1
    assert "nowhere.yaml" in ran.stdout


def test_steps_are_read() -> None:
    assert steps('# a\nRUN a \\\n    && b\nCMD ["c"]\n') == [Step("RUN", "a      && b"), Step("CMD", '["c"]')]
