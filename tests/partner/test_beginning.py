"""``sandbox --app`` when something comes between its start and its being up, which is made up here."""

from __future__ import annotations

import contextlib
import errno
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_cli.starter.answers import answers
from talkdesk_cli.starter.files import starter
from talkdesk_sandbox.controlplane.errors import StartError
from talkdesk_sandbox.node.images import Image
from talkdesk_sandbox.partner import command
from talkdesk_sandbox.whereabouts import Whereabouts, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FIRST = Whereabouts(
    console="http://first/", control="http://d", browser="http://b", kubeconfig="/k", programs="/p"
)


def _first_comes_up_meanwhile(stack: contextlib.ExitStack) -> None:
    stack.enter_context(told(FIRST))


def _disk_is_full(_: contextlib.ExitStack) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/certificates/ca.key")


def _etcd_ends(_: contextlib.ExitStack) -> None:
    raise StartError("etcd ended with exit code 1; the end of its log:\n  | panic [/x]")


@pytest.mark.parametrize(
    ("meanwhile", "said"),
    [
        (_first_comes_up_meanwhile, "another one is up (console: http://first/): end it first\n"),
        (_disk_is_full, "/somewhere/certificates/ca.key: No space left on device\n"),
        (_etcd_ends, "etcd ended with exit code 1; the end of its log:\n  | panic [/x]\n"),
    ],
)
def test_what_comes_between_is_told_in_words_and_the_exit_code_is_one(
    meanwhile: Callable[[contextlib.ExitStack], None],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    manifest = tmp_path / "app.yaml"
    manifest.write_text(starter(answers(name="greeter"))["app.yaml"])

    @contextlib.contextmanager
    def running(**_: Any) -> Iterator[Any]:
        with contextlib.ExitStack() as stack:
            meanwhile(stack)
            second = Whereabouts(console="http://second/", control="", browser="", kubeconfig="", programs="")
            yield SimpleNamespace(whereabouts=lambda _: second)

    async def open_app(*_: Any, **__: Any) -> None:
        return None

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(command, "end_on_sigterm", lambda: None)
    monkeypatch.setattr(command, "running", running)
    monkeypatch.setattr(command, "open_app", open_app)
    images = {"registry.example.com/greeter": Image(("true",))}
    assert command.sandbox_with(manifest, images=images, switches={}) == 1
    assert capsys.readouterr().out.partition("talkdesk-operator sandbox: ")[2] == said
