"""``talkdesk-operator mails``: an app's author looks at the mails before a customer does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from typer.testing import CliRunner

from samples import sample_of
from talkdesk_cli.main import app

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, **email: Any) -> Path:
    sample = sample_of("talkdeskapp")
    sample["spec"]["email"] = email
    path = folder / "app.yaml"
    path.write_text(yaml.safe_dump_all([{"kind": "Other"}, sample]))
    return path


def test_good_templates_are_written_out_for_each_outcome(tmp_path: Path) -> None:
    manifest = written(tmp_path, appName="Calls", templates={"updated": {"text": "Hi {{ admin.name }}"}})
    done = CliRunner().invoke(app, ["mails", str(manifest), "--output", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "installed: Calls is ready for Acme & Sons Ltd" in done.output
    assert (tmp_path / "out" / "updated.txt").read_text().endswith("\n\nHi Ada Lovelace")
    assert not (tmp_path / "out" / "updated.html").exists()
    assert "did not start in time" in (tmp_path / "out" / "installFailed.html").read_text()
    assert len(list((tmp_path / "out").iterdir())) == 11


def test_a_broken_template_is_named_by_its_path_and_line(tmp_path: Path) -> None:
    manifest = written(tmp_path, templates={"installed": {"html": "\n{{ acount.name }}"}})
    done = CliRunner().invoke(app, ["mails", str(manifest)])
    assert done.exit_code == 1
    assert "spec.email.templates.installed.html: line 2: unknown reference acount.name" in done.output


def test_a_file_without_a_readable_app_is_said_so(tmp_path: Path) -> None:
    for text, expected in (
        ("kind: Other", "no TalkdeskApp"),
        ("a: [", "not YAML"),
        ("kind: TalkdeskApp", "metadata"),
    ):
        (tmp_path / "x.yaml").write_text(text)
        done = CliRunner().invoke(app, ["mails", str(tmp_path / "x.yaml")])
        assert done.exit_code == 2
        assert expected in done.output
    done = CliRunner().invoke(app, ["mails", str(tmp_path / "nowhere.yaml")])
    assert done.exit_code == 2
