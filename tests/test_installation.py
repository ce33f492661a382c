"""The unrelated distribution `fakellm` beside this one: whichever was installed last, the message says what to do.

It installs `fakellm/__init__.py` and modules beside it, among them `cli.py`, `server.py` and `streaming.py`. A folder is
built as pip leaves it, and comes first on the path of a fresh interpreter.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

OTHER = {
    "__init__.py": '"""fakellm — a mock LLM server for testing."""\n\n__version__ = "0.3.5"\n',
    "_state.py": "",
    "cli.py": "def main() -> None:\n    print('the other command')\n",
    "config.py": "",
    "matcher.py": "",
    "server.py": "",
    "streaming.py": "",
}
"""The files of the other distribution, without what is in them."""

DAMAGED = r"the package 'fakellm' of the distribution 'fakellm-server' is damaged: .*"
OVERWRITTEN = (
    DAMAGED + r"__init__\.py belongs to the unrelated distribution 'fakellm 0\.3\.5'\. .*`pip uninstall fakellm "
)
MISSING = DAMAGED + r"fakellm has no __init__\.py\. .*`pip uninstall fakellm "


def install(site: Path, *distributions: str) -> Path:
    """A folder with these distributions, the last one's files over those of the others."""
    for name in distributions:
        if name == "fakellm-server":
            ignored = shutil.ignore_patterns("node_modules", "__pycache__")
            shutil.copytree(ROOT / "fakellm", site / "fakellm", ignore=ignored, dirs_exist_ok=True)
            continue
        (site / "fakellm").mkdir(exist_ok=True)
        for file, text in OTHER.items():
            (site / "fakellm" / file).write_text(text, encoding="utf-8")
        (site / "fakellm-0.3.5.dist-info").mkdir()
        metadata = "Metadata-Version: 2.1\nName: fakellm\nVersion: 0.3.5\n"
        (site / "fakellm-0.3.5.dist-info" / "METADATA").write_text(metadata, encoding="utf-8")
    return site


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """An interpreter that finds the packages of `site` first, in an empty folder."""
    folder = site.parent / "empty"
    folder.mkdir(exist_ok=True)
    command, env = [sys.executable, *arguments], {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def overwritten(tmp_path: Path) -> Path:
    return install(tmp_path / "site", "fakellm-server", "fakellm")


@pytest.fixture
def restored(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    return install(tmp_path / "site", "fakellm", "fakellm-server")


@pytest.mark.parametrize(
    "code",
    [
        "from fakellm.faults import Reset",
        "from fakellm.strategies import streams",
        "import fakellm.testing.handle",
        "import fakellm.testing.pytest_plugin; from fakellm import serve",
        "import fakellm.testing.pytest_plugin; fakellm.serve()",
    ],
)
def test_an_import_says_that_the_package_was_overwritten(code: str, overwritten: Path) -> None:
    failed = run(overwritten, "-c", code)
    assert failed.returncode == 1
    assert re.search("ImportError: " + OVERWRITTEN, failed.stderr)


@pytest.mark.parametrize("arguments", [[], ["serve"], ["init"], ["--help"]])
def test_the_command_says_that_the_package_was_overwritten(arguments: list[str], overwritten: Path) -> None:
    script = "import sys; from fakellm.cli import main; sys.exit(main())"  # that of both distributions
    for start in (["-m", "fakellm"], ["-c", script]):
        failed = run(overwritten, *start, *arguments)
        assert (failed.returncode, failed.stdout) == (1, "")
        assert re.fullmatch(f"fakellm: {OVERWRITTEN}.*\n", failed.stderr)


def test_a_package_that_the_other_one_removed_is_explained(overwritten: Path) -> None:
    for file in OTHER:  # pip uninstall fakellm
        (overwritten / "fakellm" / file).unlink()
    shutil.rmtree(overwritten / "fakellm-0.3.5.dist-info")
    failed = run(overwritten, "-m", "fakellm", "serve")
    assert failed.returncode == 1
    assert re.match("fakellm: " + MISSING, failed.stderr)


def test_the_fixture_says_that_the_package_was_overwritten_and_other_tests_pass(overwritten: Path) -> None:
    file = overwritten.parent / "test_it.py"
    file.write_text("def test_with(fakellm): pass\ndef test_without(): pass\n", encoding="utf-8")
    options = ("-p", "no:cacheprovider", "-q")
    result = run(overwritten, "-m", "pytest", *options, str(file))
    assert "1 passed, 1 error" in result.stdout
    assert re.search("ImportError: " + OVERWRITTEN, result.stdout)


def test_if_installed_last_this_package_works_and_a_missing_name_is_explained(restored: Path) -> None:
    served = run(restored, "-c", "import fakellm\nwith fakellm.serve() as server: print(server.health()['status'])")
    assert (served.returncode, served.stdout) == (0, "ok\n")
    assert run(restored, "-m", "fakellm", "--help").stdout.startswith("Usage: fakellm ")
    failed = run(restored, "-c", "import fakellm; fakellm.MockServer")
    assert "AttributeError: module 'fakellm' has no attribute 'MockServer'; the unrelated distribution" in failed.stderr
    assert "pip uninstall fakellm fakellm-server" in failed.stderr
