"""Containers of one image in the folder that stands for it: what an image's WORKDIR is on a cluster."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_kube.resources import PODS
from talkdesk_sandbox.node.commands import command_of
from talkdesk_sandbox.node.environment import ConfigError, PodFacts
from talkdesk_sandbox.node.images import Image
from talkdesk_sandbox.partner.images import listed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from talkdesk_kube import Kube

Obj = dict[str, Any]
IMAGE = "registry.example.com/app"
#: Like an app: it goes on, and is well once it has written this file beside its program.
APP = """import pathlib, sys, time
pathlib.Path(sys.argv[1]).touch()
time.sleep(1000)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A partner's folder: programs, a probe's script, and ``images.yaml``."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "images.yaml").write_text(f'{IMAGE}: "python3 app.py app-is-up"\n')
    for name in ("app.py", "other.py"):
        (folder / name).write_text(APP)
    (folder / "migrate.py").write_text("import pathlib; pathlib.Path('migrated').touch()\n")
    script = folder / "ok.sh"
    script.write_text("#!/bin/sh\ntest -e migrated && test -e app-is-up\n")
    script.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def images(project: Path) -> dict[str, Image]:
    """The partner's images are those of the node."""
    return listed(project / "images.yaml")


async def test_containers_with_commands_of_their_own_and_relative_probes_run_where_the_image_does(
    kube: Kube, place: str, until: Callable[..., Any], shell_pod: Callable[..., Obj]
) -> None:
    probe = {"exec": {"command": ["./ok.sh"]}, "periodSeconds": 1}
    first = {"name": "main", "image": f"{IMAGE}:1.2", "readinessProbe": probe}
    second = {"name": "other", "image": f"{IMAGE}:1.2", "command": ["python3", "other.py", "other-is-up"]}
    before = {**second, "name": "before", "command": ["python3", "migrate.py"], "workingDir": "/srv/in-image"}
    pod = shell_pod(place, "two", "", spec={"containers": [first, second], "initContainers": [before]})
    await kube.create(PODS, pod)

    async def ready() -> bool:
        status = (await kube.get(PODS, "two", namespace=place)).get("status") or {}
        held = {one["type"]: one["status"] for one in status.get("conditions") or []}
        return bool(status.get("phase") == "Running" and held.get("Ready") == "True")

    await until(ready)
    status = (await kube.get(PODS, "two", namespace=place))["status"]
    assert [one["restartCount"] for one in status["containerStatuses"]] == [0, 0]


async def _folder(container: Obj, image: Image, tmp_path: Path, words: list[str] | None = None) -> Path:
    async def nothing(_kind: str, _name: str) -> None:
        return None

    pod = {"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {}}
    command = await command_of(
        {"name": "main", "image": IMAGE, **container},
        image,
        facts=PodFacts(pod, "127.0.0.1", "127.0.0.1"),
        links={},
        volumes={"data": tmp_path / "volume"},
        read=nothing,
        folder=tmp_path / "work",
        mark="mark",
        log=None,
        words=words,
    )
    return command.folder


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in ("work", "image", "volume/below", "machine"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


MOUNTED: Obj = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}


@pytest.mark.parametrize(
    ("working_dir", "of_image", "expected"),
    [
        ("", "", "work"),
        ("", "image", "image"),
        ("/data/below", "image", "volume/below"),
        # Of the image, where nobody can look: its files are in the folder that stands for it.
        ("/srv/in-image", "image", "image"),
        ("machine", "image", "machine"),
        ("machine", "", "machine"),
    ],
)
@pytest.mark.parametrize("words", [None, ["./probe"]], ids=["program", "probe"])
async def test_a_program_runs_in_the_working_dir_or_where_the_image_says_or_in_a_folder_of_its_own(
    working_dir: str, of_image: str, expected: str, folders: Path, words: list[str] | None
) -> None:
    asked = os.fspath(folders / working_dir) if working_dir == "machine" else working_dir
    image = Image(("run",), folder=os.fspath(folders / of_image) if of_image else "")
    container = {"workingDir": asked, **MOUNTED} if asked else MOUNTED
    assert await _folder(container, image, folders, words) == folders / expected


@pytest.mark.parametrize(
    ("working_dir", "of_image", "told"),
    [
        ("/srv/in-image", "", "workingDir '/srv/in-image' does not exist on this machine"),
        ("/data/nowhere", "image", "workingDir '/data/nowhere' does not exist in its volume"),
        ("", "gone", "gone, the folder of image 'registry.example.com/app', does not exist"),
    ],
)
async def test_a_folder_that_does_not_exist_is_named(
    working_dir: str, of_image: str, told: str, folders: Path
) -> None:
    image = Image(("run",), folder=os.fspath(folders / of_image) if of_image else "")
    with pytest.raises(ConfigError, match=told):
        await _folder({"workingDir": working_dir, **MOUNTED}, image, folders)
