"""``talkdesk-operator sandbox``: what cannot be meant is told before anything starts."""

from __future__ import annotations

import logging
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
import structlog
from typer.testing import CliRunner

from talkdesk_cli.main import app
from talkdesk_cli.starter.answers import answers
from talkdesk_cli.starter.files import starter
from talkdesk_kube.pod.logging import AUDIT, QUIET
from talkdesk_sandbox.whereabouts import Whereabouts
from talkdesk_sandbox.whereabouts import told as whereabouts_told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command that runs in this process sets logging up for it."""
    root, before = logging.getLogger(), structlog.get_config()
    loggers = [root, *(logging.getLogger(name) for name in (*QUIET, AUDIT))]
    handlers, levels = root.handlers[:], [(logger, logger.level) for logger in loggers]
    yield
    root.handlers[:] = handlers
    for logger, level in levels:
        logger.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.configure(**before)


def _said(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["sandbox", *words], env={"COLUMNS": "400", "NO_COLOR": "1"})
    return done.exit_code, re.sub(r"[\s│]+", " ", done.output)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--image", "a=b"), "belong to --app"),
        (("--images", "images.yaml"), "belong to --app"),
        (("--app", "app.yaml", "--once"), "to check an app: certify"),
        (("--app", "app.yaml", "--image", "a"), "is not NAME=COMMAND"),
        (("--app", "app.yaml", "--images", "nowhere.yaml"), "nowhere.yaml: No such file"),
        (("--switch", "a"), "is not NAME=VALUE"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = _said(*words)
    assert code == 2
    assert told in said


@pytest.mark.parametrize("words", [("open", "northwind"), ("install", "northwind"), ("env",)])
def test_without_a_sandbox_each_act_says_how_to_start_one(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path))
    code, said = _said(*words)
    assert code == 1
    assert "no sandbox is up: start one in another terminal with talkdesk-operator sandbox" in said


@pytest.mark.processes
def test_env_tells_a_shell_of_kubectl_and_of_the_control_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path))
    up = Whereabouts(
        console="http://console.localhost:1/",
        control="http://127.0.0.1:2",
        browser="http://127.0.0.1:3",
        kubeconfig="/a folder/kubeconfig",
        programs="/programs",
    )
    with whereabouts_told(up):
        env = CliRunner().invoke(app, ["sandbox", "env"])
    assert env.exit_code == 0
    asked = f'{env.output}\necho "$KUBECONFIG" "$TALKDESK_CONTROL" "${{PATH%%:*}}"'
    shell = subprocess.run(["/bin/sh", "-c", asked], capture_output=True, text=True, check=True)
    assert shell.stdout == "/a folder/kubeconfig http://127.0.0.1:2 /programs\n"


def test_a_file_without_an_app_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path))
    file = tmp_path / "app.yaml"
    file.write_text("kind: Deployment\n")
    for words in (("--app", os.fspath(file)), ("apply", os.fspath(file))):
        code, said = _said(*words)
        assert code == 1
        assert "app.yaml: there is no TalkdeskApp in it" in said


def test_an_image_without_a_command_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path))
    file = tmp_path / "app.yaml"
    file.write_text(starter(answers(name="greeter"))["app.yaml"])
    code, said = _said("--app", os.fspath(file), "--image", "other=true")
    assert code == 1
    assert (
        "no command stands for image registry.example.com/greeter: --image registry.example.com/greeter="
        in said
    )
