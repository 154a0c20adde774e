"""A partner's images: any name, any command."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from talkdesk_sandbox.partner.images import listed, missing, named

if TYPE_CHECKING:
    from pathlib import Path


def _ran(words: list[str], *arguments: str) -> str:
    done = subprocess.run([*words, *arguments], capture_output=True, text=True, check=True, cwd="/")
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
    name, words = named("docker.io/acme/app@sha256:00=A=b printf x")
    assert (name, words[-1]) == ("acme/app", "sh")
    assert _ran(named("app=printf %s= ")[1], "y") == "y="


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
