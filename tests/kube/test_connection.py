from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from kubernetes.aio.config import incluster_config

from talkdesk_kube import KubeSettings, NoConfiguration
from talkdesk_kube.connection import TOKEN_REREAD_SECONDS, load_configuration

if TYPE_CHECKING:
    from pathlib import Path


def kubeconfig(folder: Path, **user: str) -> Path:
    path = folder / "kubeconfig"
    document = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
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
    configuration = await load_configuration(settings, clock=lambda: now)
    assert await configuration.get_api_key_with_prefix("BearerToken") == "Bearer first"

    (tmp_path / "token").write_text("second\n")
    now += TOKEN_REREAD_SECONDS - 1
    assert await configuration.get_api_key_with_prefix("BearerToken") == "Bearer first"
    now += 1
    assert await configuration.get_api_key_with_prefix("BearerToken") == "Bearer second"


async def test_an_inline_token_serves_where_there_is_no_file(tmp_path: Path) -> None:
    settings = KubeSettings(kubeconfig=kubeconfig(tmp_path, token="inline"))
    configuration = await load_configuration(settings)
    assert await configuration.get_api_key_with_prefix("BearerToken") == "Bearer inline"


async def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoConfiguration, match=r"TALKDESK_KUBECONFIG: no file '.*/nowhere'"):
        await load_configuration(KubeSettings(kubeconfig=tmp_path / "nowhere"))


@pytest.mark.parametrize("text", ["", "{}", "- a", "{", '{"current-context": "x", "contexts": []}'])
async def test_a_broken_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(NoConfiguration, match=str(path)):
        await load_configuration(KubeSettings(kubeconfig=path))


async def test_outside_a_pod_the_setting_to_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(NoConfiguration, match="TALKDESK_KUBECONFIG"):
        await load_configuration(KubeSettings(kubeconfig=None))


async def test_in_a_pod_its_service_account_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("TOKEN", "projected\n"), ("CERT", "an authority")):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(incluster_config, f"SERVICE_{name}_FILENAME", str(tmp_path / name))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    configuration = await load_configuration(KubeSettings(kubeconfig=None))
    assert configuration.host == "https://[fd00::1]:443"
    assert configuration.ssl_ca_cert == str(tmp_path / "CERT")
    assert (await configuration.get_api_key_with_prefix("BearerToken")).split() == ["bearer", "projected"]
