"""The private folder, and which folders of others are removed."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

from talkdesk_sandbox.controlplane.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_folder_of_a_dead_starter_is_removed_and_those_of_the_living_and_of_strangers_stay(
    tmp_path: Path,
) -> None:
    dead = tmp_path / "talkdesk-cp-dead"
    (dead / "etcd").mkdir(parents=True)
    stranger = tmp_path / "somebody-else"
    stranger.mkdir()
    living = Workspace.create()
    new = Workspace.create()
    assert not dead.exists()
    assert living.path.is_dir()
    assert stranger.is_dir()
    new.close()
    living.close()
    assert not living.path.exists()


def test_a_link_into_another_folder_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    (tmp_path / "talkdesk-cp-link").symlink_to(precious)
    Workspace.create().close()
    assert (precious / "file").exists()


def test_the_folder_and_its_subfolders_are_their_owners_alone() -> None:
    workspace = Workspace.create()
    folder = workspace.folder("logs")
    assert [path.stat().st_mode & 0o777 for path in (workspace.path, folder)] == [0o700, 0o700]
    workspace.close()
