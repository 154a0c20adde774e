"""Where the programs come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from talkdesk_sandbox.controlplane import AssetsError, build
from talkdesk_sandbox.controlplane.assets import PROGRAMS, locate

if TYPE_CHECKING:
    from pathlib import Path


def _fill(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch(0o700)
    return folder


def test_a_given_folder_wins_over_kubebuilder_assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, environment = _fill(tmp_path / "a", *PROGRAMS), _fill(tmp_path / "b", *PROGRAMS)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(environment))
    assert locate(given).path("helm") == given / "helm"
    assert locate().path("helm") == environment / "helm"


def test_with_kubebuilder_assets_there_is_nothing_to_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _fill(tmp_path / "bin", *PROGRAMS)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(folder))
    monkeypatch.setenv("PATH", "")
    said: list[str] = []
    assert build(said.append) == folder
    assert said == []


def test_etcd_may_have_the_name_its_module_gives_it(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "bin", *(set(PROGRAMS) - {"etcd"}), "server")
    assert locate(folder).path("etcd") == folder / "server"


def test_an_incomplete_folder_is_an_error_that_lists_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _fill(tmp_path / "bin", "etcd", "kube-apiserver", "kubectl")
    (folder / "helm").touch(0o600)  # there, but no program
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(folder))
    with pytest.raises(AssetsError, match=r"KUBEBUILDER_ASSETS.*holds no kube-controller-manager, helm"):
        locate()
