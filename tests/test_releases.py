"""The bytes of each release are kept: what has changed since the last one is in the changelog.

`tests/golden/releases/<version>/` has the digest of each golden file, and the generated replies of each API.
``python -m tests.test_releases`` writes the folder of the version in setup.cfg.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

from fakellm.apis.route import HOMES
from fakellm.fuzzing.endpoints import endpoint_of, fuzzed_api
from fakellm.server.scenario_app import App, HttpRequest
from tests.conftest import ROOT, respond

GOLDEN = ROOT / "tests" / "golden"
RELEASES = GOLDEN / "releases"
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def version() -> str:
    """The version in setup.cfg."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup["metadata"]["version"]


def digests() -> dict[str, str]:
    """The digest of each golden file, by its path."""
    files = sorted(file for file in GOLDEN.rglob("*") if file.is_file() and RELEASES not in file.parents)
    return {file.relative_to(GOLDEN).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in files}


def generated() -> dict[str, bytes]:
    """The generated reply to the example of each API, by the name of its file."""
    found = {}
    for name in HOMES:
        api = fuzzed_api(name)
        body, headers = json.dumps(api.example()).encode(), {"anthropic-version": "2023-06-01"}
        plan = respond(App(None), HttpRequest("POST", endpoint_of(api).url, body, headers)).plan
        assert plan.status == 200
        found[f"{name}.txt"] = plan.body
    return found


def kept(folder: Path) -> dict[str, str]:
    """The digests of a release."""
    lines = (folder / "digests.txt").read_text(encoding="utf-8").splitlines()
    return {path: digest for digest, path in (line.split("  ") for line in lines)}


def changed(folder: Path) -> Iterator[str]:
    """What has other bytes than in this release: dialects, or APIs whose dialects have a folder each."""
    now = digests()
    yield from (path.partition("/")[0] for path, digest in kept(folder).items() if now.get(path) != digest)
    replies = generated()
    yield from (
        file.stem for file in folder.glob("*.txt") if file.name in replies and file.read_bytes() != replies[file.name]
    )


def listed(changelog: str, release: str) -> set[str]:
    """The names in lines that start with `Bytes:`, of all that is above this release."""
    later = changelog.partition(f"\n## {release} ")[0]
    lines = re.findall(r"^- Bytes: ([^:]*)", later, re.MULTILINE)
    return {name for line in lines for name in re.findall(r"`([^`]+)`", line)}


def releases() -> list[Path]:
    return sorted(RELEASES.iterdir(), key=lambda folder: [int(part) for part in folder.name.split(".")])


def test_what_has_other_bytes_than_in_the_last_release_is_in_the_changelog() -> None:
    last = releases()[-1]
    missing = {*changed(last)} - listed(CHANGELOG, last.name)
    assert not missing, (
        f"write a line into CHANGELOG.md: - Bytes: {', '.join(f'`{name}`' for name in sorted(missing))}: …"
    )


def test_the_version_is_the_last_release() -> None:
    assert releases()[-1].name == version()
    assert re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)[0] == "Unreleased"
    assert re.search(rf"^## {re.escape(version())} \(\d{{4}}-\d\d-\d\d\)$", CHANGELOG, re.MULTILINE)


KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")


def test_the_changelog_has_releases_with_each_kind_of_change_and_each_line_once() -> None:
    for release in re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)[1:]:
        assert re.match(r"Unreleased\n|\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)\n", release)
        kinds = re.findall(r"^### (.*)$", release, re.MULTILINE)
        assert kinds == [kind for kind in KINDS if kind in kinds]
    lines = re.findall(r"^- .*", CHANGELOG, re.MULTILINE)
    assert sorted({*lines}) == sorted(lines)


def test_a_change_of_bytes_is_found_unless_it_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = releases()[-1]
    assert {path.partition("/")[0] for path in kept(last)} >= {"xai", "messages", "responses"}
    for file in last.iterdir():
        (tmp_path / file.name).write_bytes(
            file.read_bytes().replace(b"  xai/", b"0  xai/").replace(b"data: ", b"data:")
        )
    assert {"xai", "chat", "messages"} <= {*changed(tmp_path)}
    log = "## Unreleased\n\n- Bytes: `xai`, `chat`: other ids.\n- Other: `groq`\n\n## 1.0.0 (2030-01-01)\n- Bytes: `azure`: x\n"
    assert listed(log, "1.0.0") == {"xai", "chat"}


if __name__ == "__main__":
    folder = RELEASES / version()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "digests.txt").write_text(
        "".join(f"{digest}  {path}\n" for path, digest in digests().items()), encoding="utf-8"
    )
    for name, body in generated().items():
        (folder / name).write_bytes(body)
