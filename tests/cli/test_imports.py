"""What a process imports when it starts: no more than it needs, and out of the garbage collector's sight."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from talkdesk_cli import imports

if TYPE_CHECKING:
    from pathlib import Path

#: Packages that are worth a look before a process imports one more of them, and which processes do.
HEAVY: dict[str, set[str]] = {
    "kubernetes": set(),  # for unusual kubeconfigs (talkdesk_kube.access); it brings the next three
    "oauthlib": set(),
    "requests": set(),
    "urllib3": set(),
    "rich": set(),  # the sandbox and the certification tell people; it brings the next
    "pygments": set(),
    "click": set(),  # httpx's command line
    "greenlet": set(),  # Playwright's
    "talkdesk_sandbox": set(),
    "talkdesk_certify": set(),
    "talkdesk_webhook": {"webhook"},
    "talkdesk_operator": {"operator"},
    "talkdesk_gateway": {"gateway", "envoy-config"},
    "kopf": {"operator"},
    "yaml": {"operator"},  # Kopf's
    "aiosmtplib": {"operator"},
    "jinja2": {"operator", "gateway"},  # mails; pages
    "uvloop": {"gateway"},
    "httpx": {"webhook", "operator", "gateway"},
    "joserfc": {"webhook", "operator", "gateway"},
    "cryptography": {"webhook", "operator", "gateway"},
}
#: The command, and in the end what was imported.
TELLING = """
import atexit, sys
atexit.register(lambda: print(*sys.modules))
from talkdesk_cli.main import app
app()
"""


@pytest.mark.processes
@pytest.mark.parametrize("command", ["operator", "webhook", "gateway", "envoy-config"])
def test_a_process_imports_no_more_than_it_needs(command: str, tmp_path: Path) -> None:
    options = ["--output", str(tmp_path / "envoy.json")] if command == "envoy-config" else []
    ended = subprocess.run(
        [sys.executable, "-c", TELLING, command, *options],
        env={},  # so that it ends at once, for want of settings
        capture_output=True,
        text=True,
        check=False,
    )
    assert "talkdesk-operator: environment: TALKDESK_" in ended.stderr
    came = set(ended.stdout.split())
    assert "pydantic" in came
    assert HEAVY.keys() & came == {name for name, who in HEAVY.items() if command in who}


def test_what_is_missing_for_the_imports_is_found_again_and_what_was_there_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imports, "DISPENSABLE", ("pytest", "antigravity"))
    with imports.kept():
        __import__("pytest")
        with pytest.raises(ImportError):
            __import__("antigravity")
    assert "antigravity" not in sys.modules


def test_the_collector_rests_meanwhile_and_leaves_what_came_alone() -> None:
    before = gc.get_freeze_count()
    with imports.kept():
        assert not gc.isenabled()
        came = [[] for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(came)


def test_the_collector_works_again_after_an_import_that_failed() -> None:
    with pytest.raises(ImportError), imports.kept():
        raise ImportError("no such module")
    assert gc.isenabled()
