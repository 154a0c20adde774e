"""What the programs are made from, and the folder that follows from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from talkdesk_sandbox.controlplane.assets import PROGRAMS
from talkdesk_sandbox.controlplane.recipe import Recipe, cache_folder, control_plane_recipe


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / "go.mod").write_text("module example.test/m\n\ngo 1.21\n")
    (tmp_path / "go.sum").write_text("")
    return Recipe(module=tmp_path, packages={"one": "example.test/m/one"})


@pytest.mark.parametrize("file", ["go.mod", "go.sum"])
def test_another_pin_is_another_folder(recipe: Recipe, file: str) -> None:
    before = recipe.digest
    with (recipe.module / file).open("a") as opened:
        opened.write("// changed\n")
    assert recipe.digest != before


def test_other_flags_or_programs_are_another_folder(recipe: Recipe) -> None:
    others = [replace(recipe, ldflags="-s"), replace(recipe, packages={"two": "example.test/m/two"})]
    assert len({recipe.digest, *(other.digest for other in others)}) == 3


def test_the_same_sources_elsewhere_are_the_same_folder(recipe: Recipe, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("go.mod", "go.sum"):
        (copy / name).write_bytes((recipe.module / name).read_bytes())
    assert replace(recipe, module=copy).digest == recipe.digest


def test_the_real_recipe_builds_every_program_with_the_versions_of_go_mod() -> None:
    recipe = control_plane_recipe()
    assert set(recipe.packages) == set(PROGRAMS)
    tools = (recipe.module / "go.mod").read_text()
    assert all(f"\t{package}\n" in tools for package in recipe.packages.values())
    major, minor = (
        flag.split("=")[1] for flag in recipe.ldflags.split() if "gitMajor" in flag or "gitMinor" in flag
    )
    assert f"k8s.io/kubernetes v{major}.{minor}." in tools


@pytest.mark.parametrize(
    ("value", "below"), [("/somewhere", "/somewhere"), ("relative", "~/.cache"), ("", "~/.cache")]
)
def test_the_cache_follows_the_xdg_rules(monkeypatch: pytest.MonkeyPatch, value: str, below: str) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert cache_folder() == Path(below).expanduser() / "talkdesk-operator" / "controlplane"
