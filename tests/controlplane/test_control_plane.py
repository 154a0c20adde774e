"""A real control plane: quick to start, private, gone without a trace, several at once, subject to RBAC."""

from __future__ import annotations

import json
import os
import secrets
import signal
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from talkdesk_sandbox.controlplane import CommandError, ControlPlane, Network, RequestError, StartError

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.cluster

_STARTER = """
import json, sys, time
from talkdesk_sandbox.controlplane import ControlPlane
from talkdesk_sandbox.node import Node
plane = ControlPlane.start()
node = Node.start(plane, {})
print(json.dumps({"directory": str(plane.directory), "url": plane.url}), flush=True)
time.sleep(600)
"""


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def test_two_live_side_by_side_and_the_one_that_is_stopped_leaves_nothing(
    control_plane: ControlPlane,
    namespace: str,
    processes_of: Callable[[Path], list[int]],
    answers: Callable[[str, Path], bool],
    tmp_path: Path,
) -> None:
    with ControlPlane.start() as second:
        assert second.network.service_cidr != control_plane.network.service_cidr
        assert second.network.pod_listen_cidr != control_plane.network.pod_listen_cidr
        assert namespace not in second.kubectl("get", "namespaces", "--output=name")
        assert namespace in control_plane.kubectl("get", "namespaces", "--output=name")
        assert len(processes_of(second.directory)) == 3
        ca_file = tmp_path / "ca.crt"
        ca_file.write_bytes(second.ca_file.read_bytes())
        assert answers(second.url, ca_file)

    assert processes_of(second.directory) == []
    assert not answers(second.url, ca_file)
    assert not second.directory.exists()
    assert namespace in control_plane.kubectl("get", "namespaces", "--output=name")


def test_a_killed_starter_leaves_no_process_and_no_port_and_its_folder_goes_with_the_next_start(
    processes_of: Callable[[Path], list[int]],
    answers: Callable[[str, Path], bool],
    eventually: Callable[[Callable[[], bool]], None],
    tmp_path: Path,
) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", _STARTER], stdout=subprocess.PIPE, env=environment
    ) as starter:
        assert starter.stdout is not None
        started = json.loads(starter.stdout.readline())
        directory, url = Path(started["directory"]), started["url"]
        assert len(processes_of(directory)) == 3 + 2, "the node has a guard"
        assert answers(url, directory / "certificates" / "ca.crt")
        starter.send_signal(signal.SIGKILL)

    eventually(lambda: processes_of(directory) == [])
    eventually(lambda: not answers(url, directory / "certificates" / "ca.crt"))
    assert directory.parent == tmp_path
    assert directory.exists()
    pods = directory / "node" / "pods"
    assert pods.is_dir()
    assert stat.S_IMODE(pods.parent.stat().st_mode) == stat.S_IRWXU
    sweep = "from talkdesk_sandbox.controlplane.workspace import Workspace; Workspace.create().close()"
    subprocess.run([sys.executable, "-c", sweep], env=environment, check=True, timeout=60)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_the_module_run_alone_prints_its_kubeconfig_and_ends_cleanly_on_sigterm(
    processes_of: Callable[[Path], list[int]],
) -> None:
    command = [sys.executable, "-m", "talkdesk_sandbox.controlplane"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        kubeconfig = Path(process.stdout.readline().strip().removeprefix("export KUBECONFIG="))
        assert yaml.safe_load(kubeconfig.read_text())["kind"] == "Config"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert processes_of(kubeconfig.parent) == []
    assert not kubeconfig.parent.exists()


def test_nothing_of_it_is_readable_by_others(control_plane: ControlPlane) -> None:
    others = stat.S_IRWXG | stat.S_IRWXO
    control_plane.kubectl("get", "namespaces")  # writes its discovery cache
    control_plane.helm("list")
    control_plane.kubeconfig_for("default", "default")
    # kubectl sets modes of its own inside its cache, which holds nothing but the list of kinds.
    cache = control_plane.directory / "kubectl-cache"
    found = [path for path in control_plane.directory.rglob("*") if cache not in path.parents]
    entries = [control_plane.directory, *found]
    assert {"audit.jsonl", "ca.crt", "admin.key", "kubeconfig", "db"} <= {path.name for path in entries}
    public = [path for path in entries if path.exists() and path.stat().st_mode & others]
    assert public == []


def test_without_a_certificate_neither_the_api_server_nor_etcd_says_anything(
    control_plane: ControlPlane, processes_of: Callable[[Path], list[int]]
) -> None:
    context = ssl.create_default_context(cafile=str(control_plane.ca_file))
    with httpx.Client(verify=context, trust_env=False) as stranger:
        assert stranger.get(f"{control_plane.url}/api/v1/namespaces").status_code == 401
        etcd = _port(control_plane.url) - 2
        commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in processes_of(control_plane.directory)]
        assert any(f"--listen-client-urls=https://127.0.0.1:{etcd}" in command for command in commands)
        with pytest.raises(httpx.TransportError):
            stranger.get(f"https://127.0.0.1:{etcd}/version")


def _configmap(control_plane: ControlPlane, kubeconfig: Path, namespace: str) -> httpx.Response:
    user = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]
    assert Path(user["tokenFile"]).read_text() == user["token"]
    context = ssl.create_default_context(cafile=str(control_plane.ca_file))
    with httpx.Client(verify=context, trust_env=False) as client:
        return client.post(
            f"{control_plane.url}/api/v1/namespaces/{namespace}/configmaps",
            json={"metadata": {"generateName": "test-"}},
            headers={"Authorization": f"Bearer {user['token']}"},
        )


def test_a_service_account_may_do_what_its_role_says_and_nothing_else(
    control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.kubectl("create", "serviceaccount", "worker", "-n", namespace)
    kubeconfig = control_plane.kubeconfig_for("worker", namespace)
    refused = _configmap(control_plane, kubeconfig, namespace)
    assert refused.status_code == 403
    assert f"system:serviceaccount:{namespace}:worker" in refused.json()["message"]

    rules = ["--verb=create", "--resource=configmaps", "-n", namespace]
    control_plane.kubectl("create", "role", "writer", *rules)
    binding = ["--role=writer", f"--serviceaccount={namespace}:worker", "-n", namespace]
    control_plane.kubectl("create", "rolebinding", "writer", *binding)
    deadline = time.monotonic() + 5
    while (answer := _configmap(control_plane, kubeconfig, namespace)).status_code == 403:
        assert time.monotonic() < deadline
    assert answer.status_code == 201
    assert _configmap(control_plane, kubeconfig, "default").status_code == 403


def test_a_kubeconfig_for_nobody_is_an_error_that_names_it(control_plane: ControlPlane) -> None:
    with pytest.raises(RequestError, match=r'serviceaccounts "nobody" not found') as raised:
        control_plane.kubeconfig_for("nobody", "default")
    assert (raised.value.code, raised.value.reason) == (404, "NotFound")


def test_what_is_vacated_is_gone_soon_although_the_node_of_its_pods_is(control_plane: ControlPlane) -> None:
    name = f"vacated-{secrets.token_hex(4)}"
    path = f"/api/v1/namespaces/{name}"
    control_plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    control_plane.kubectl("wait", "--for=create", "serviceaccount/default", "--namespace", name)
    spec = {"nodeName": "gone", "containers": [{"name": "main", "image": "x"}]}
    control_plane.request("POST", f"{path}/pods", {"metadata": {"name": "left"}, "spec": spec})
    control_plane.vacate(name)
    control_plane.kubectl("wait", "--for=delete", f"namespace/{name}", "--timeout=20s")


def test_the_audit_log_counts_who_wrote_what(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "serviceaccount", "worker", "-n", namespace)
    kubeconfig = control_plane.kubeconfig_for("worker", namespace)
    position = control_plane.audit_position()
    _configmap(control_plane, kubeconfig, namespace)
    _configmap(control_plane, kubeconfig, namespace)

    def mine() -> list[dict[str, Any]]:
        user = f"system:serviceaccount:{namespace}:worker"
        return [entry for entry in control_plane.audit(since=position) if entry["user"]["username"] == user]

    deadline = time.monotonic() + 5
    while len(mine()) < 2:
        assert time.monotonic() < deadline
    assert [(entry["verb"], entry["objectRef"]["resource"]) for entry in mine()] == [
        ("create", "configmaps")
    ] * 2
    assert {entry["responseStatus"]["code"] for entry in mine()} == {403}
    assert {entry["level"] for entry in mine()} == {"Metadata"}


def test_kubectl_that_fails_says_why_and_never_shows_its_input(control_plane: ControlPlane) -> None:
    broken = '{"kind": "Secret", "apiVersion": "v1", "stringData": {"a": "s3cret"}}'
    with pytest.raises(CommandError) as raised:
        control_plane.kubectl("create", "-f", "-", input=broken)
    assert raised.value.exit_code == 1
    assert "metadata.name: Required value" in raised.value.stderr
    assert "s3cret" not in str(raised.value)


def test_the_network_file_says_what_the_node_needs(control_plane: ControlPlane) -> None:
    network = Network.read(control_plane.network_file)
    assert network == control_plane.network
    assert network.node_tls is not None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(network.node_tls.client_ca))
    context.load_cert_chain(network.node_tls.certificate, network.node_tls.key)


def test_a_program_that_ends_at_once_is_reported_with_the_end_of_its_log_and_leaves_nothing(
    control_plane: ControlPlane,
    tmp_path: Path,
    processes_of: Callable[[Path], list[int]],
) -> None:
    for name in ("etcd", "kube-controller-manager", "kubectl", "helm"):
        (tmp_path / name).symlink_to(control_plane.bin(name))
    broken = tmp_path / "kube-apiserver"
    broken.write_text("#!/bin/sh\necho cannot find my socks >&2\nexit 3\n")
    broken.chmod(0o700)
    with pytest.raises(StartError, match=r"kube-apiserver ended with exit code 3(.|\n)*cannot find my socks"):
        ControlPlane.start(assets=tmp_path)
    assert processes_of(tmp_path) == []


def test_helm_installs_a_chart_on_it(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: tiny\nversion: 0.1.0\n")
    configmap = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tiny"}}
    (tmp_path / "templates" / "configmap.json").write_text(json.dumps(configmap))
    control_plane.helm("install", "tiny", tmp_path, "--namespace", namespace)
    assert control_plane.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/tiny")["kind"]
    control_plane.helm("uninstall", "tiny", "--namespace", namespace)
