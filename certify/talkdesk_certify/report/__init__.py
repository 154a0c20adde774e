"""The report: JSON and JUnit XML for programs, a page for people. Pure, but for writing the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_certify.report.as_json import as_json
from talkdesk_certify.report.junit import as_junit
from talkdesk_certify.report.page import page

if TYPE_CHECKING:
    from pathlib import Path

    from talkdesk_certify.result import Certification

__all__ = ["as_json", "as_junit", "page", "write"]


def write(certification: Certification, folder: Path) -> None:
    """``index.html``, ``report.json`` and ``junit.xml`` into ``folder``, beside its pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(as_json(certification))
    (folder / "junit.xml").write_text(as_junit(certification))
    (folder / "index.html").write_text(page(certification))
