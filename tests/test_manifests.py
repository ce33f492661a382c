"""compose.yaml and deploy/: checked against their schemas, and their command lines run with a Redis, without a cluster."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema import validate

from fakellm.cli.serving import GRACE, PATIENCE
from fakellm.server.connections.listening import listen
from tests.conftest import ROOT, chat
from tests.dockerfile import steps

IMAGE = {step.instruction: step for step in steps((ROOT / "Dockerfile").read_text(encoding="utf-8"))}
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
BALANCER = (ROOT / "deploy" / "haproxy.cfg").read_text(encoding="utf-8")
MANIFESTS = [*yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text(encoding="utf-8"))]
NAMED = {(each["kind"], each["metadata"]["name"]): each for each in MANIFESTS}
DEPLOYMENTS = [each for each in MANIFESTS if each["kind"] == "Deployment"]
POD = NAMED["Deployment", "fakellm"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
BROKEN = {"rules": [{"reply": {"content": "Hello."}, "fault": {"kind": "close", "frame": 2}}]}
COUNTING = {"rules": [{"reply": {"content": "Attempt {{attempt}}", "template": True}}]}
Server = tuple[str, subprocess.Popen[str]]
"""Its URL and its process."""
ARGUMENTS = {"compose": SERVICES["server"]["command"], "kubernetes": CONTAINER["args"]}


def test_the_compose_file_and_the_action_are_valid() -> None:
    validate(COMPOSE, get_builtin_schema("vendor.compose-spec"))
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    validate(action, get_builtin_schema("vendor.github-actions"))


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda each: f"{each['kind']} {each['metadata']['name']}")
def test_a_manifest_is_valid(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_write_only_to_its_temporary_folder_and_gain_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(each.endswith(":ro") for each in service.get("volumes", ()))


def test_only_this_machine_reaches_the_servers_and_nothing_else_reaches_redis() -> None:
    assert {name: each["ports"] for name, each in SERVICES.items() if "ports" in each} == {
        "fakellm": ["127.0.0.1:8080:8080"]
    }


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda each: each["metadata"]["name"])
def test_the_manifests_fit_together(deployment: dict[str, Any]) -> None:
    labels, pod = deployment["spec"]["template"]["metadata"]["labels"], deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    service = NAMED["Service", deployment["metadata"]["name"]]["spec"]
    assert service["selector"].items() <= labels.items()
    assert service["ports"][0]["targetPort"] == container["ports"][0]["name"]
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"]


def test_the_manifests_fit_the_image_and_the_policies_their_pods() -> None:
    context = POD["securityContext"]
    assert IMAGE["USER"].argument == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert CONTAINER["ports"][0]["containerPort"] == int(IMAGE["EXPOSE"].argument)
    assert CONTAINER["livenessProbe"]["httpGet"]["path"] in IMAGE["HEALTHCHECK"].argument
    servers, redis = (each["spec"]["template"]["metadata"]["labels"] for each in DEPLOYMENTS)
    assert NAMED["PodDisruptionBudget", "fakellm"]["spec"]["selector"]["matchLabels"] == servers
    policy = NAMED["NetworkPolicy", "fakellm-redis"]["spec"]
    assert policy["podSelector"]["matchLabels"] == redis
    assert policy["ingress"][0]["from"] == [{"podSelector": {"matchLabels": servers}}]


def test_a_server_can_end_its_streams_before_it_is_killed() -> None:
    assert not any("--grace" in arguments for arguments in ARGUMENTS.values())
    _, before = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    assert POD["terminationGracePeriodSeconds"] > int(before) + GRACE + PATIENCE
    periods = {
        name: int(each["stop_grace_period"].removesuffix("s")) for name, each in SERVICES.items() if name != "redis"
    }
    assert periods["server"] > GRACE + PATIENCE
    (balancer,) = map(int, re.findall(r"hard-stop-after (\d+)s", BALANCER))
    assert GRACE + PATIENCE <= balancer < periods["fakellm"]


@contextmanager
def started(arguments: list[str], redis: str, scenarios: Path) -> Iterator[Server]:
    """A server with the arguments of a manifest, this Redis and this folder: its URL and process."""
    places = {"/scenarios": str(scenarios), "0.0.0.0": "127.0.0.1"}
    replaced = [redis if each.startswith("redis://") else places.get(each, each) for each in arguments]
    command = [sys.executable, "-m", "fakellm", *replaced, "--port", "0", "--ready", "json", "--watch-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        yield json.loads(process.stdout.readline())["url"], process
        process.stdin.close()


def send(method: str, url: str, body: bytes | None = None, **headers: str) -> Any:
    """The JSON of a response of status 200."""
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=30) as response:
        return json.load(response)


def content(url: str) -> str:
    """What a server answers to a chat."""
    reply = send("POST", url + "/v1/chat/completions", chat())
    return str(reply["choices"][0]["message"]["content"])


@pytest.fixture(scope="module")
def servers(redis: str) -> Iterator[list[Server]]:
    """The servers of the compose file."""
    scenarios = ROOT / "deploy" / "scenarios"
    with ExitStack() as stack:
        replicas = range(SERVICES["server"]["deploy"]["replicas"])
        yield [stack.enter_context(started(ARGUMENTS["compose"], redis, scenarios)) for _ in replicas]


def test_the_servers_of_the_compose_file_share_their_state(servers: list[Server]) -> None:
    assert [content(url) for url, _ in servers] == ["Hello.", "Hello."]
    path = "/s/shared/_fakellm/scenario"
    send("PUT", servers[0][0] + path, json.dumps(COUNTING).encode(), Host="fakellm:8080")
    assert [content(f"{url}/s/shared") for url, _ in servers] == ["Attempt 1", "Attempt 2"]


@contextmanager
def balanced(urls: list[str], folder: Path) -> Iterator[str]:
    """The URL of the HAProxy of the compose file before these servers. Skips the test if there is none."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    program = shutil.which("haproxy", path=path) or pytest.skip("there is no HAProxy: apt-get install haproxy")
    (template,) = re.findall(r"server-template .*", BALANCER)
    options = re.findall(r" check .*(?= resolvers docker init-addr none)", template)[0]
    servers = [f"server {number} {url.removeprefix('http://')}{options}" for number, url in enumerate(urls)]
    with listen("127.0.0.1", 0) as listener:
        address = listener.getsockname()
        text = BALANCER.replace(template, "\n".join(servers)).replace("bind :8080", f"bind fd@{listener.fileno()}")
        (folder / "haproxy.cfg").write_text(text)
        command = [program, "-db", "-f", str(folder / "haproxy.cfg")]
        process = subprocess.Popen(command, pass_fds=[listener.fileno()])
    with process:
        try:
            yield "http://{}:{}".format(*address)
        finally:
            process.kill()


def raw(url: str) -> bytes:
    """All bytes that a server sends for a chat."""
    address, body = urlsplit(url), chat(stream=True)
    head = f"POST {address.path}/v1/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_at_the_url_of_the_compose_file_clients_get_what_a_server_sends_and_notice_no_server_that_is_killed(
    servers: list[Server], tmp_path: Path
) -> None:
    (first, killed), (second, _) = servers
    for name, scenario in ("a", COUNTING), ("b", BROKEN):
        send("PUT", f"{first}/s/{name}/_fakellm/scenario", json.dumps(scenario).encode())
    with balanced([first, second], tmp_path) as url:
        assert [content(url + "/s/a") for _ in range(4)] == [f"Attempt {number}" for number in range(1, 5)]
        assert raw(url + "/s/b") == raw(first + "/s/b")
        killed.kill()
        killed.wait()
        assert [content(url + "/s/a") for _ in range(4)] == [f"Attempt {number}" for number in range(5, 9)]


def test_the_arguments_of_the_manifest_serve_its_scenario(redis: str, tmp_path: Path) -> None:
    for name, text in NAMED["ConfigMap", "fakellm-scenarios"]["data"].items():
        (tmp_path / name).write_text(text)
    assert NAMED["Deployment", "fakellm"]["spec"]["replicas"] == 2
    with started(CONTAINER["args"], redis, tmp_path) as (url, _):
        assert content(url) == "Hello."
        for probe in ("livenessProbe", "readinessProbe"):
            send("GET", url + CONTAINER[probe]["httpGet"]["path"], Host="10.0.0.7:8080")


def test_redis_has_the_same_options_everywhere() -> None:
    (container,) = DEPLOYMENTS[1]["spec"]["template"]["spec"]["containers"]
    assert container["args"] == SERVICES["redis"]["command"]
    assert container["image"] == SERVICES["redis"]["image"]
