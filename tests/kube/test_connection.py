from __future__ import annotations

import base64
import json
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from talkdesk_kube import KubeSettings, NoConfiguration, access
from talkdesk_kube.access import TOKEN_REREAD_SECONDS
from talkdesk_kube.connection import load_access
from talkdesk_sandbox.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def kubeconfig(folder: Path, *, cluster: dict[str, Any] | None = None, **user: Any) -> Path:
    path = folder / "kubeconfig"
    document = {
        "clusters": [{"name": "c", "cluster": cluster or {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(document))
    return path


async def test_a_token_file_counts_before_an_inline_token_and_is_read_again(tmp_path: Path) -> None:
    now = 1000.0
    (tmp_path / "token").write_text("first\n")
    settings = KubeSettings(kubeconfig=kubeconfig(tmp_path, token="inline", tokenFile="token"))
    read = await load_access(settings, clock=lambda: now)
    assert await read.authorization() == "Bearer first"

    (tmp_path / "token").write_text("second\n")
    now += TOKEN_REREAD_SECONDS - 1
    assert await read.authorization() == "Bearer first"
    now += 1
    assert await read.authorization() == "Bearer second"


async def test_an_inline_token_serves_where_there_is_no_file(tmp_path: Path) -> None:
    settings = KubeSettings(kubeconfig=kubeconfig(tmp_path, token="inline"))
    read = await load_access(settings)
    assert await read.authorization() == "Bearer inline"


async def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoConfiguration, match=r"TALKDESK_KUBECONFIG: no file '.*/nowhere'"):
        await load_access(KubeSettings(kubeconfig=tmp_path / "nowhere"))


@pytest.mark.parametrize("text", ["", "{}", "- a", "{", '{"current-context": "x", "contexts": []}'])
async def test_a_broken_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(NoConfiguration, match=str(path)):
        await load_access(KubeSettings(kubeconfig=path))


async def test_outside_a_pod_the_setting_to_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(NoConfiguration, match="TALKDESK_KUBECONFIG"):
        await load_access(KubeSettings(kubeconfig=None))


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As in a pod; the folder of its service account's files."""
    for name, text in (("token", "projected\n"), ("ca.crt", "an authority")):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(access, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return tmp_path


async def test_in_a_pod_its_service_account_serves_and_its_token_is_read_again(pod: Path) -> None:
    now = 1000.0
    read = await load_access(KubeSettings(kubeconfig=None), clock=lambda: now)
    assert read.host == "https://[fd00::1]:443"
    assert read.ca_file == str(pod / "ca.crt")
    assert await read.authorization() == "Bearer projected"

    (pod / "token").write_text("renewed\n")
    now += TOKEN_REREAD_SECONDS
    assert await read.authorization() == "Bearer renewed"


@pytest.mark.parametrize("name", ["token", "ca.crt"])
async def test_in_a_pod_a_file_that_is_empty_or_missing_is_named(pod: Path, name: str) -> None:
    (pod / name).write_text("")
    with pytest.raises(NoConfiguration, match=name):
        await load_access(KubeSettings(kubeconfig=None))
    (pod / name).unlink()
    with pytest.raises(NoConfiguration, match=name):
        await load_access(KubeSettings(kubeconfig=None))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with an authority's certificate, ``my.crt`` and ``my.key`` of a client, and ``token``."""
    Authority(tmp_path, name="kube", now=datetime.now(UTC)).issue("my", common_name="me")
    (tmp_path / "token").write_text("of a file\n")
    return tmp_path


PLAIN = [
    ({"server": "https://127.0.0.1:1/"}, {}),
    ({"server": "https://127.0.0.1:1", "certificate-authority": "ca.crt"}, {"token": "inline"}),
    ({"server": "https://127.0.0.1:1", "certificate-authority-data": "inline"}, {"tokenFile": "token"}),
    (
        {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": True, "tls-server-name": "kube"},
        {"client-certificate": "my.crt", "client-key": "my.key"},
    ),
    (
        {"server": "http://127.0.0.1:1", "proxy-url": "http://127.0.0.1:2"},
        {"token": "a", "tokenFile": "token"},
    ),
]


@pytest.mark.parametrize("as_text", [json.dumps, yaml.safe_dump], ids=["json", "yaml"])
@pytest.mark.parametrize(("cluster", "user"), PLAIN)
async def test_what_is_plain_is_read_as_the_library_reads_it_and_without_it(
    files: Path,
    cluster: dict[str, Any],
    user: dict[str, Any],
    as_text: Callable[[Any], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "certificate-authority-data" in cluster:
        inline = base64.b64encode((files / "ca.crt").read_bytes()).decode()
        cluster = cluster | {"certificate-authority-data": inline}
    path = kubeconfig(files, cluster=cluster, **user)
    document = json.loads(path.read_text())
    path.write_text(as_text(document))
    by_library = await access._by_library(document, path, time.monotonic)
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    read = await load_access(KubeSettings(kubeconfig=path))
    assert await read.authorization() == await by_library.authorization()
    # What is inline the library writes into a file.
    assert trusted(read) == trusted(by_library)
    for name in ("host", "cert_file", "key_file", "verify", "tls_server_name", "proxy"):
        assert getattr(read, name) == getattr(by_library, name), name
    if read.ca_data is None:
        assert read.ca_file == by_library.ca_file


def trusted(read: access.Access) -> list[Any] | None:
    context = read.tls()
    return None if context is None else [context.get_ca_certs(), context.verify_mode, context.check_hostname]


@pytest.mark.processes
async def test_an_exec_plug_in_is_run_again_by_each_reading(tmp_path: Path) -> None:
    plug_in = tmp_path / "plug-in"
    plug_in.write_text(
        """#!/bin/sh
echo x >>"$0.runs"
echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",'
echo '"status": {"token": "token-'$(wc -l <"$0.runs")'"}}'
"""
    )
    plug_in.chmod(0o700)
    command = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plug_in)}
    settings = KubeSettings(kubeconfig=kubeconfig(tmp_path, exec=command))
    for number in (1, 2):
        read = await load_access(settings)
        assert await read.authorization() == f"Bearer token-{number}"


async def test_the_id_token_of_an_oidc_provider_and_a_password_are_shown(tmp_path: Path) -> None:
    claims = base64.b64encode(json.dumps({"exp": time.time() + 3600}).encode()).decode()
    token = f"e30.{claims.rstrip('=')}.c2ln"
    provider = {"name": "oidc", "config": {"id-token": token}}
    path = kubeconfig(tmp_path, **{"auth-provider": provider})
    assert await (await load_access(KubeSettings(kubeconfig=path))).authorization() == f"Bearer {token}"

    path = kubeconfig(tmp_path, username="me", password="mine")
    shown = f"Basic {base64.b64encode(b'me:mine').decode()}"
    assert await (await load_access(KubeSettings(kubeconfig=path))).authorization() == shown


async def test_a_client_certificate_may_be_inline(files: Path) -> None:
    user = {
        f"client-{kind}-data": base64.b64encode((files / name).read_bytes()).decode()
        for kind, name in (("certificate", "my.crt"), ("key", "my.key"))
    }
    cluster = {"server": "https://127.0.0.1:1", "certificate-authority": "ca.crt"}
    read = await load_access(KubeSettings(kubeconfig=kubeconfig(files, cluster=cluster, **user)))
    assert read.cert_file
    assert read.key_file
    assert read.tls() is not None  # which reads both
