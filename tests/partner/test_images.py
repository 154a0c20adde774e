"""A partner's images: any name, any command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from talkdesk_sandbox.node.process import Command, Process
from talkdesk_sandbox.partner.images import listed, missing, named
from talkdesk_sandbox.story.observe import NotYet, eventually

if TYPE_CHECKING:
    from talkdesk_sandbox.node.images import Image

#: An app that takes its time to end, and says by its exit code that it was asked to.
SLOW_TO_END = """
import signal, sys, time
def end(*_):
    time.sleep(0.2)
    sys.exit(7)
signal.signal(signal.SIGTERM, end)
open("up", "w").write(" ".join(sys.argv[1:]))
time.sleep(1000)
"""


def _ran(image: Image, *arguments: str) -> str:
    words = [*image.command, *arguments]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=image.folder)
    return done.stdout


@pytest.mark.processes
def test_a_command_runs_in_the_files_folder_with_the_containers_arguments_after_it(tmp_path: Path) -> None:
    folder = tmp_path / "it's here"
    folder.mkdir()
    file = folder / "images.yaml"
    file.write_text(
        "registry:5000/team/app:1.2: printf '%s|' \"$PWD\" mine\nother: [printf, '%s|', 'a b', '$HOME']\n"
    )
    images = listed(file)
    assert set(images) == {"registry:5000/team/app", "other"}
    assert _ran(images["registry:5000/team/app"], "x y") == f"{folder}|mine|x y|"
    assert _ran(images["other"]) == "a b|$HOME|"


@pytest.mark.processes
def test_a_pair_names_an_image_and_its_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    name, image = named("docker.io/acme/app@sha256:00=A=b printf x")
    assert (name, image.command[-1], image.folder) == ("acme/app", "sh", str(tmp_path))
    assert _ran(named("app=printf %s= ")[1], "y") == "y="


@pytest.mark.processes
@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("X=hi printenv X", "hi\n"),
        ("X=hi Y='a b' printenv Y", "a b\n"),
        ("X=$(echo 'a  b') printenv X", "a  b\n"),
        ("X=`echo 'a  b'` printenv X", "a  b\n"),
        ("X=1 cd / && pwd", "/\n"),
        ("cd / && pwd", "/\n"),
        ("echo a && echo b", "a\nb\n"),
        ("echo a\necho b\n", "a\nb\n"),
        ("exec echo a", "a\n"),
        ("if true; then echo a; fi", "a\n"),
        ("for one in a b; do echo $one; done >&2 2>&1 | cat; echo c", "c\n"),
        ("echo it # isn't", "it\n"),
        ("-x; echo 'a && b'", "a && b\n"),
    ],
)
def test_a_command_is_written_as_one_types_it(command: str, printed: str) -> None:
    assert _ran(named(f"a={command}")[1]) == printed


@pytest.mark.processes
@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("printf '%s|' a", "a|x y|z|"),
        ("X='a b' printf '%s|'", "x y|z|"),
        ("printf '%s|' a 2>&1", "a|x y|z|"),
        # More than one simple command: where the line names them.
        ("cd / && printf '%s|' mine", "mine|"),
        ("cd / && printf '%s|' mine \"$@\"", "mine|x y|z|"),
        ("X=$HOME printf '%s|' \"$@\"", "x y|z|"),
        ("for one; do echo $one\ndone", "x y\nz\n"),
        ("echo a;", "a\n"),
    ],
)
def test_the_containers_arguments_come_after_a_simple_command_or_where_they_are_named(
    command: str, printed: str
) -> None:
    assert _ran(named(f"a={command}")[1], "x y", "z") == printed


@pytest.mark.processes
@pytest.mark.parametrize(
    "lead", ["", "X=1 ", "X=$HOME ", "cd . && ", "true; ", "echo | ", "sleep 1000 & "], ids=str.strip
)
async def test_a_stopped_container_ends_its_app_first_and_leaves_no_process(
    lead: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text(SLOW_TO_END)
    monkeypatch.chdir(tmp_path)
    image = named(f"a={lead}{sys.executable} app.py serve")[1]
    process = await Process.start(Command(image.command, dict(os.environ), Path(image.folder)))
    try:
        await eventually(lambda: _is_up(tmp_path / "up"), within=20)
        process.terminate()
        assert await process.wait() == 7
    finally:
        process.kill_all()
    await eventually(lambda: _is_empty(process.pid), within=20)


async def _is_up(file: Path) -> None:
    if _content(file) != "serve":
        raise NotYet("the app has not started")


async def _is_empty(session: int) -> None:
    if left := _living(session):
        raise NotYet(f"left of the container: {left}")


def _living(session: int) -> list[str]:
    stats = [_content(one).rpartition(")")[2].split() for one in Path("/proc").glob("[0-9]*/stat")]
    return [
        state for state, _, _, its, *_ in filter(None, stats) if int(its) == session and state not in "ZX"
    ]


def _content(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


@pytest.mark.parametrize("pair", ["app", "=run", "app=", "app= "])
def test_what_is_no_pair_is_told(pair: str) -> None:
    with pytest.raises(ValueError, match="NAME=COMMAND"):
        named(pair)


@pytest.mark.parametrize("text", ["- app", "app: 7", "app:", "a: {b: c}", "{"])
def test_what_is_no_list_of_images_is_told(text: str, tmp_path: Path) -> None:
    file = tmp_path / "images.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"image|YAML"):
        listed(file)


def test_images_that_nothing_stands_for_are_found_wherever_a_template_names_them() -> None:
    container = {"name": "c", "image": "docker.io/acme/app:1", "env": [{"name": "image", "value": "x"}]}
    pod = {
        "initContainers": [{"image": "acme/first@sha256:0"}, {"image": "${plan.values.image}"}],
        "containers": [container],
    }
    spec = {"template": [{"spec": {"template": {"spec": pod}}}], "variants": [{"template": [{"spec": pod}]}]}
    assert missing(spec, {"acme/app"}) == ["acme/first"]
    assert missing(spec, {"acme/app", "acme/first"}) == []
