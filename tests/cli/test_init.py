"""``talkdesk-operator init``: what it writes, and when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from talkdesk_cli.main import app
from talkdesk_cli.starter.answers import answers
from talkdesk_cli.starter.files import NAMES, starter
from talkdesk_crds.manifest import app_in
from talkdesk_operator.mail.compose import problems

ODD = {
    "title": 'Béa\'s "Board": {{ 7 }} #1',
    "domain": "calls.acme.example",
    "image": "registry.acme.example:5000/team/calls:1.2@sha256:abc",
    "command": "./run --name 'a b' # no comment: yes",
    "contact": "o'brien+td@acme.example",
}


def _init(folder: Path, *more: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["init", "--app", "calls", "--directory", str(folder), *more])
    return done.exit_code, done.output


def test_a_starter_is_written_and_the_sheet_is_told(tmp_path: Path) -> None:
    code, told = _init(tmp_path / "new")
    assert code == 0, told
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(NAMES)
    sheet = (tmp_path / "new" / "partner-project.md").read_text()
    assert sheet.strip() in told
    for word in (
        "https://events.calls.example.com/events",
        "https://launch.calls.example.com/_td/launch",
        "https://launch.calls.example.com/_td/callback",
        "openid, account:read, users:read, apps:read, apps:write",
        "`user.logout`",
        "Talkdesk bar",
        "app.credentials_rotated",
    ):
        assert word in sheet
    assert len([line for line in sheet.splitlines() if line[:2] in {f"{n}." for n in range(1, 10)}]) == 9


def test_nothing_is_written_over_unless_it_is_said(tmp_path: Path) -> None:
    mine = tmp_path / "values.yaml"
    mine.write_text("mine")
    code, told = _init(tmp_path)
    assert code == 1
    assert "values.yaml" in told
    assert "--force" in told
    assert [path.name for path in tmp_path.iterdir()] == ["values.yaml"]
    assert mine.read_text() == "mine"
    assert _init(tmp_path, "--force")[0] == 0
    assert mine.read_text() != "mine"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--domain", "no domain"),
        ("--domain", "example"),
        ("--contact", "nobody"),
        ("--image", "$(id)"),
        ("--title", "two\nlines"),
        ("--command", " "),
    ],
)
def test_what_cannot_be_used_is_named_before_anything_is_written(
    tmp_path: Path, option: str, value: str
) -> None:
    code, told = _init(tmp_path / "new", option, value)
    assert code == 2
    assert option in told
    assert not (tmp_path / "new").exists()


def test_any_title_and_command_stay_as_they_were_said(tmp_path: Path) -> None:
    code, told = _init(tmp_path, *(word for key, value in ODD.items() for word in (f"--{key}", value)))
    assert code == 0, told
    _, read = app_in(tmp_path / "app.yaml")
    assert read.spec.email.app_name == ODD["title"]
    assert read.spec.contact == ODD["contact"]
    assert read.spec.launch_host == "launch.calls.acme.example"
    assert not problems(read)
    images = yaml.safe_load((tmp_path / "images.yaml").read_text())
    assert images == {"registry.acme.example:5000/team/calls": ODD["command"]}


def test_every_file_that_the_starter_points_to_is_in_the_manual() -> None:
    docs = Path(__file__).parents[2] / "docs"
    text = starter(answers(name="calls"))["app.yaml"]
    named = {word.strip("().,;") for word in text.split() if word.strip("().,;").endswith(".md")}
    assert len(named) > 5
    assert not [name for name in named if not (docs / name).exists()]
