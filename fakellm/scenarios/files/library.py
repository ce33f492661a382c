"""The scenarios that come with the package: `fakellm:echo` is the file `library/echo.yaml`. Knows no syntax."""

from __future__ import annotations

from pathlib import Path

from fakellm.base.errors import ScenarioError
from fakellm.base.words.near_miss import near_miss

PREFIX = "fakellm:"
_FOLDER = Path(__file__).parent.parent / "library"


def library_file(path: Path) -> Path:
    """The file of a scenario whose name starts with PREFIX; any other path as it is. Raises ScenarioError if there is
    no scenario of this name."""
    name = str(path)
    if not name.startswith(PREFIX):
        return path
    files = {file.relative_to(_FOLDER).with_suffix("").as_posix(): file for file in _FOLDER.rglob("*.yaml")}
    found = files.get(name.removeprefix(PREFIX))
    if found is None:
        shown = [each for each in sorted(files) if "/" not in each]
        hint = near_miss(name.removeprefix(PREFIX), list(files))
        raise ScenarioError([f"{name}: no such scenario comes with fakellm; there are {', '.join(shown)}{hint}"])
    return found


def included(each: str, folder: Path) -> Path:
    """What a file in this folder includes under this name."""
    return Path(each) if each.startswith(PREFIX) else folder / each
