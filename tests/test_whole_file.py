"""What a command writes replaces the old file as a whole, or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fakellm.cli import main
from fakellm.recordings.whole_file import replacing, write_whole

needs_unix = pytest.mark.skipif(sys.platform == "win32", reason="permissions and limits of Unix")

SMALL_DISK = """
import resource, signal, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
from fakellm.cli import main
main(sys.argv[1:])
"""


def stream(folder: Path) -> Path:
    file = folder / "hi.sse"
    file.write_text('data: {"id":"c","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n' * 30, encoding="utf-8")
    return file


@needs_unix
@pytest.mark.parametrize(
    "command", [["import"], ["export"], ["export", "--format", "vcrpy"], ["export", "--format", "har"]], ids=" ".join
)
@pytest.mark.parametrize("before", [None, "what was there\n"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, command: list[str], before: str | None) -> None:
    output = tmp_path / "out"
    if before is not None:
        output.write_text(before, encoding="utf-8")
    arguments = [*command, str(stream(tmp_path)), "-o", str(output)]
    # A measurement of coverage could not save its data either.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    started = [sys.executable, "-c", SMALL_DISK, *arguments]
    ended = subprocess.run(started, capture_output=True, text=True, env=environment)
    assert (ended.returncode, ended.stderr) == (2, f"{output}: file too large\n")
    assert (output.read_text(encoding="utf-8") if output.exists() else None) == before
    assert {file.name for file in tmp_path.iterdir()} == {"hi.sse", *(["out"] if before else [])}


@needs_unix
def test_the_permissions_and_a_link_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to("real")
    write_whole(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


@needs_unix
def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").write_bytes(b"")
    write_whole(tmp_path / "new", b"x")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_an_error_while_it_is_written_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")

    def write() -> None:
        with replacing(tmp_path / "file") as file:
            file.write(b"new" * 1_000_000)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


@needs_unix
def test_what_is_not_a_regular_file_is_written_at_once(tmp_path: Path) -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader:
        with os.fdopen(write, "wb"):
            write_whole(Path(f"/dev/fd/{write}"), b"new")
        assert reader.read() == b"new"


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "absent" / "out"
    with pytest.raises(SystemExit) as ended:
        main(["import", str(stream(tmp_path)), "-o", str(output)], standalone_mode=False)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"{output}: no such file or directory\n"
