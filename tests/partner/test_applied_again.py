"""What ``sandbox apply`` says of a TalkdeskApp that was applied again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from talkdesk_cli.starter.answers import answers
from talkdesk_cli.starter.files import starter
from talkdesk_sandbox.partner import command

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_customers_that_must_install_again_for_a_new_scope_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tmp_path / "app.yaml"
    manifest.write_text(starter(answers(name="greeter"))["app.yaml"])

    async def applied(*_: Any) -> tuple[int, dict[str, list[str]]]:
        return 2, {"northwind": ["reports:read", "scim"]}

    monkeypatch.setattr(command, "up_now", lambda: None)
    monkeypatch.setattr(command, "apply_again", applied)
    said: list[str] = []
    assert command.apply(manifest, say=said.append) == 0
    assert said == [
        "greeter is accepted, and rolled out to 2 tenants",
        "northwind installed it without reports:read, scim: uninstall it there, and install it again",
    ]
