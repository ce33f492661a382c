"""The scenarios that come with the package can be named wherever a file can, and are in the wheel."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import pytest
from click.testing import CliRunner

import fakellm
from fakellm.cli import main
from fakellm.scenarios.files import library
from tests.conftest import ROOT, chat, post

FOLDER = ROOT / "scenarios"
FILES = {file.relative_to(FOLDER).with_suffix("").as_posix(): file for file in FOLDER.rglob("*.yaml")}


@pytest.mark.parametrize("name", sorted(FILES))
def test_each_can_be_named(name: str) -> None:
    assert fakellm.load(f"fakellm:{name}") == fakellm.load(FILES[name])


def test_the_documentation_lists_them() -> None:
    page = (ROOT / "docs" / "reference" / "scenarios.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `fakellm:(.*?)` \|", page, re.MULTILINE)) == {name for name in FILES if "/" not in name}
    assert all(name in FILES for name in re.findall(r"fakellm:([\w/-]+)", page))


def test_the_wheel_has_them() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    patterns = setup["options.package_data"]["fakellm.scenarios"].split(", ")
    folder = Path(library.__file__).parent.parent
    assert {file.name for pattern in patterns for file in folder.glob(pattern)} == {
        file.name for file in FILES.values()
    }


def test_a_name_that_there_is_not() -> None:
    with pytest.raises(fakellm.ScenarioError) as raised:
        fakellm.load("fakellm:ecko")
    message = "fakellm:ecko: no such scenario comes with fakellm; there are agent-parallel-tools, broken-stream, "
    assert str(raised.value).startswith(message)
    assert str(raised.value).endswith("; did you mean 'echo'?")


def test_a_file_includes_one(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "include: [fakellm:refusal]\nrules: [{when: {user: mine}, reply: {content: Mine}}]"
    )
    assert len(fakellm.load(tmp_path / "mine.yaml").rules) == 2


def test_commands_and_handles_take_names() -> None:
    done = CliRunner().invoke(main, ["check", "fakellm:echo"])
    assert (done.exit_code, done.output) == (0, "fakellm:echo: 1 rule of echo\n")
    with fakellm.serve("fakellm:echo") as server:
        assert "Hello" in post(server.base_url + "/chat/completions", chat()).text
