from __future__ import annotations

import socket
from pathlib import Path

import pytest

from talkdesk_kube.pod import CommaSeparated, PodSettings, SettingsError, read_settings

REQUIRED = {
    "TALKDESK_NAMESPACE": "talkdesk-system",
    "TALKDESK_RELEASE": "td",
    "TALKDESK_CREDENTIALS_NAMESPACE": "talkdesk-system-td-credentials",
}


class Listed(PodSettings):
    gateways: CommaSeparated


def test_the_environment_of_a_pod_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    given = REQUIRED | {
        "TALKDESK_POD_NAME": "td-operator-1",
        "TALKDESK_BIND_ADDRESS": "10.0.0.7",
        "TALKDESK_KUBECONFIG": "/etc/kubeconfig",
        "TALKDESK_EGRESS_PROXY": "http://user:canary-8@proxy:3128",
        "TALKDESK_CA_FILE": "/etc/ca.pem",
        "TALKDESK_LOG_LEVEL": "debug",
        "TALKDESK_LOG_FORMAT": "text",
        "TALKDESK_METRICS_PORT": "9191",
        "TALKDESK_GATEWAYS": "https://api.a, https://api.b,",
        "TALKDESK_UNHEARD_OF": "x",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = read_settings(Listed)
    assert settings.namespace == "talkdesk-system"
    assert settings.release == "td"
    assert settings.credentials_namespace == "talkdesk-system-td-credentials"
    assert settings.pod_name == "td-operator-1"
    assert settings.bind_address == "10.0.0.7"
    assert settings.kubeconfig == Path("/etc/kubeconfig")
    assert settings.ca_file == Path("/etc/ca.pem")
    assert (settings.log_level, settings.log_format) == ("debug", "text")
    assert settings.metrics_port == 9191
    assert settings.gateways == ("https://api.a", "https://api.b")
    assert settings.egress_proxy == "http://user:canary-8@proxy:3128"
    assert "canary-8" not in repr(settings) + str(settings)


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    for name in ("KUBECONFIG", "EGRESS_PROXY", "CA_FILE", "POD_NAME", "LOG_LEVEL", "METRICS_PORT"):
        monkeypatch.setenv(f"TALKDESK_{name}", "")
    settings = read_settings(PodSettings)
    assert settings.kubeconfig is settings.egress_proxy is settings.ca_file is None
    assert settings.pod_name == socket.gethostname()
    assert (settings.log_level, settings.metrics_port, settings.bind_address) == ("info", 9090, "0.0.0.0")  # noqa: S104 -- the default


def test_what_is_missing_or_wrong_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in REQUIRED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TALKDESK_RELEASE", "td")
    monkeypatch.setenv("TALKDESK_NAMESPACE", "ns")
    monkeypatch.setenv("TALKDESK_METRICS_PORT", "canary-6")
    with pytest.raises(SettingsError) as caught:
        read_settings(PodSettings)
    message = str(caught.value)
    assert "TALKDESK_CREDENTIALS_NAMESPACE: Field required" in message
    assert "TALKDESK_METRICS_PORT: " in message
    assert "TALKDESK_RELEASE" not in message
    assert "canary-6" not in message
    assert "\n" not in message
