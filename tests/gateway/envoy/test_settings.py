"""Settings become one JSON file, or a line that says which variable is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from talkdesk_cli.main import app
from talkdesk_gateway.envoy import EnvoySettings, config
from talkdesk_kube.pod.settings import SettingsError, read_settings

if TYPE_CHECKING:
    from pathlib import Path


def settings(**given: object) -> EnvoySettings:
    return EnvoySettings.model_validate({"gateway_hosts": "10.0.0.1", "pod_name": "envoy-0", **given})


def test_the_command_writes_what_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKDESK_ENVOY_GATEWAY_HOSTS", "10.0.0.1, 10.0.0.2")
    monkeypatch.setenv("TALKDESK_ENVOY_POD_NAME", "envoy-0")
    monkeypatch.setenv("TALKDESK_ENVOY_PORT", "8443")
    output = tmp_path / "envoy.json"
    result = CliRunner().invoke(app, ["envoy-config", "--output", str(output)])
    assert result.exit_code == 0, result.output
    written = json.loads(output.read_text())
    assert written == config(settings(gateway_hosts="10.0.0.1,10.0.0.2", port=8443))
    assert list(tmp_path.iterdir()) == [output]


def test_the_command_names_the_variable_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALKDESK_ENVOY_PORT", "a-secret")
    result = CliRunner().invoke(app, ["envoy-config", "--output", str(tmp_path / "envoy.json")])
    assert result.exit_code == 2
    assert "TALKDESK_ENVOY_PORT" in result.output
    assert "TALKDESK_ENVOY_GATEWAY_HOSTS" in result.output
    assert "a-secret" not in result.output


def test_the_command_says_where_it_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKDESK_ENVOY_GATEWAY_HOSTS", "10.0.0.1")
    result = CliRunner().invoke(app, ["envoy-config", "--output", str(tmp_path / "none" / "envoy.json")])
    assert result.exit_code == 1
    assert "No such file or directory" in result.output


def test_tls_has_a_file_of_its_own_that_names_the_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALKDESK_ENVOY_GATEWAY_HOSTS", "10.0.0.1")
    monkeypatch.setenv("TALKDESK_ENVOY_TLS_CERTIFICATE", "/etc/tls/tls.crt")
    monkeypatch.setenv("TALKDESK_ENVOY_TLS_KEY", "/etc/tls/tls.key")
    result = CliRunner().invoke(app, ["envoy-config", "--output", str(tmp_path / "envoy.json")])
    assert result.exit_code == 0, result.output
    named = json.loads((tmp_path / "certificate.json").read_text())["resources"][0]["tls_certificate"]
    assert named["private_key"] == {"filename": "/etc/tls/tls.key"}
    assert named["watched_directory"] == {"path": "/etc/tls"}
    assert str(tmp_path / "certificate.json") in (tmp_path / "envoy.json").read_text()


def test_a_certificate_without_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKDESK_ENVOY_GATEWAY_HOSTS", "10.0.0.1")
    monkeypatch.setenv("TALKDESK_ENVOY_TLS_CERTIFICATE", "/etc/tls/tls.crt")
    with pytest.raises(SettingsError, match="TLS_CERTIFICATE and TLS_KEY come together"):
        read_settings(EnvoySettings)
    with pytest.raises(ValueError, match="TLS needs both"):
        config(settings(tls_certificate="/c", tls_key="/k"))


@pytest.mark.parametrize("hosts", ["", " , "])
def test_a_gateway_must_be_named(hosts: str) -> None:
    with pytest.raises(ValidationError, match="name at least one host"):
        settings(gateway_hosts=hosts)


@pytest.mark.parametrize("host", ["td-gateway.talkdesk-system.svc", "10.0.0.1", "fd00::1"])
def test_a_gateway_is_a_name_or_an_address(host: str) -> None:
    assert settings(gateway_hosts=host).gateway_hosts == (host,)


@pytest.mark.parametrize(
    "hosts",
    ["$(TD_GATEWAY_SERVICE_HOST)", "10.0.0.1,$(OTHER)", "http://gateway", "gateway/", "one two", "a\nb"],
)
def test_what_can_be_neither_is_refused(hosts: str) -> None:
    with pytest.raises(ValidationError, match="letters, digits, dots, colons and hyphens"):
        settings(gateway_hosts=hosts)


def test_a_variable_that_kubernetes_left_as_it_stands_ends_the_command_without_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALKDESK_ENVOY_GATEWAY_HOSTS", "$(TD_GATEWAY_SERVICE_HOST)")
    result = CliRunner().invoke(app, ["envoy-config", "--output", str(tmp_path / "envoy.json")])
    assert result.exit_code == 2
    assert "TALKDESK_ENVOY_GATEWAY_HOSTS" in result.output
    assert "its Service is not there yet" in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "suffix"),
    [
        ({}, ""),
        ({"public_port": 443}, ""),
        ({"public_port": 8443}, ":8443"),
        ({"public_scheme": "http", "public_port": 80}, ""),
        ({"public_scheme": "http", "public_port": 443}, ":443"),
    ],
)
def test_a_port_is_told_where_it_is_not_the_schemes_own(given: dict[str, object], suffix: str) -> None:
    assert settings(**given).public_suffix == suffix
