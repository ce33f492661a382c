"""`fakellm init` writes files that work at once, and overwrites none."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from fakellm.base.json_text import dumps
from fakellm.cli import main
from fakellm.scenarios.editor_schema import scenario_schema
from fakellm.scenarios.loader import load

pytest_plugins = ["pytester"]

NAMES = ("fakellm.yaml", "test_fakellm.py", "fakellm.schema.json")


def init(folder: Path) -> Result:
    return CliRunner().invoke(main, ["init", str(folder)])


def test_what_it_writes_works_at_once(pytester: pytest.Pytester) -> None:
    folder = pytester.path / "new" / "folder"
    done = init(folder)
    assert done.exit_code == 0, done.output
    assert all(f"wrote {folder / name}\n" in done.output for name in NAMES)
    assert json.loads((folder / "fakellm.schema.json").read_text()) == json.loads(dumps(scenario_schema()))
    text = (folder / "fakellm.yaml").read_text()
    jsonschema.validate(yaml.safe_load(text), scenario_schema())
    assert len(load(text).rules) == 5
    pytester.runpytest_inprocess(str(folder), "-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_its_folder_is_a_scenario(tmp_path: Path) -> None:
    init(tmp_path)
    assert load(tmp_path) == load(tmp_path / "fakellm.yaml")


@pytest.mark.parametrize("name", NAMES)
def test_it_overwrites_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    done = init(tmp_path)
    assert (done.exit_code, done.output) == (
        2,
        f"fakellm init: there already: {tmp_path / name}; nothing was written\n",
    )
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = init(tmp_path / "file" / "below")
    assert done.exit_code == 2
    assert "cannot write into" in done.output
