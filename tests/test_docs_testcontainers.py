"""The examples for testcontainers in docs/reference/operation.md compile, and use commands and routes that exist.

No container is started: the names that they use of the libraries are stated here, as of testcontainers 4.15 (Python), 2.0
(Java) and 12.0 (Node).
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from fakellm.cli import main
from fakellm.server.requests.control_access import READY
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "reference" / "operation.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("### Testcontainers")[2].partition("\n## ")[0]
EXAMPLES = dict(re.findall(r"```(\w+)\n(.*?)```", SECTION, re.DOTALL))
METHODS = {
    "python": {
        *("with_exposed_ports", "with_volume_mapping", "with_command", "waiting_for", "get_container_host_ip"),
        "get_exposed_port",
    },
    "java": {
        *("withExposedPorts", "withCopyFileToContainer", "withCommand", "waitingFor", "start", "getHost"),
        *("getMappedPort", "forHostPath", "forHttp"),
    },
    "ts": {
        *("withExposedPorts", "withCopyDirectoriesToContainer", "withCommand", "withWaitStrategy", "start", "getHost"),
        *("getMappedPort", "forHttp"),
    },
}
STUBS = {
    "org.testcontainers.containers.GenericContainer": """
public class GenericContainer<SELF extends GenericContainer<SELF>> implements AutoCloseable {
    public GenericContainer(String image) {}
    @SuppressWarnings("unchecked") private SELF self() { return (SELF) this; }
    public SELF withExposedPorts(Integer... ports) { return self(); }
    public SELF withCopyFileToContainer(org.testcontainers.utility.MountableFile file, String path) { return self(); }
    public SELF withCommand(String... words) { return self(); }
    public SELF waitingFor(org.testcontainers.containers.wait.strategy.Wait strategy) { return self(); }
    public void start() {}
    public String getHost() { return ""; }
    public Integer getMappedPort(int port) { return 0; }
    @Override public void close() {}
}""",
    "org.testcontainers.containers.wait.strategy.Wait": """
public class Wait { public static Wait forHttp(String path) { return null; } }""",
    "org.testcontainers.utility.MountableFile": """
public class MountableFile { public static MountableFile forHostPath(String path) { return null; } }""",
}


def test_there_is_an_example_for_each_language() -> None:
    assert set(EXAMPLES) == set(METHODS)


@pytest.mark.parametrize("language", METHODS)
def test_an_example_waits_until_the_server_is_ready_and_its_command_starts_one(language: str) -> None:
    code = EXAMPLES[language]
    assert set(re.findall(r"\.(\w+)\(", code)) == METHODS[language]
    assert f'"{READY}"' in code
    arguments = re.search(r"with_?[Cc]ommand\((.*?)\)", code)
    assert arguments
    words = shlex.split(re.sub(r'[",\[\]]', " ", arguments[1]))
    assert words == ["serve", "--host", "0.0.0.0", "/scenarios"]
    command = main.get_command(main.make_context("fakellm", [words[0]]), words[0])
    assert command is not None
    command.make_context(words[0], words[1:])


def test_the_python_compiles() -> None:
    compile(EXAMPLES["python"], "operation.md", "exec")


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
def test_the_typescript_is_a_module(tmp_path: Path) -> None:
    (tmp_path / "example.mjs").write_text(EXAMPLES["ts"])
    subprocess.run(["node", "--check", str(tmp_path / "example.mjs")], check=True)


@pytest.mark.skipif(shutil.which("javac") is None, reason="there is no Java compiler")
def test_the_java_compiles(tmp_path: Path) -> None:
    imports, _, body = EXAMPLES["java"].partition("\n\n")
    files = {"Example": f"{imports}\nclass Example {{ void run() {{ {body} }} }}"}
    for name, code in STUBS.items():
        package, _, files_name = name.rpartition(".")
        files[files_name] = f"package {package};{code}"
    for name, code in files.items():
        (tmp_path / f"{name}.java").write_text(code)
    command = ["javac", "-Xlint:all,-try", "-Werror", "-d", str(tmp_path), *map(str, tmp_path.glob("*.java"))]
    subprocess.run(command, check=True)
