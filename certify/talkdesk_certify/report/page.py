"""``index.html``: one page, with its style in it, that can be sent to somebody with its pictures."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from talkdesk_certify.questions import QUESTIONS

if TYPE_CHECKING:
    from talkdesk_certify.result import Certification


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("talkdesk_certify.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("index.html")


def page(certification: Certification) -> str:
    """The page."""
    checks = [check for item in certification.items for check in item.checks]
    return _template().render(
        run=certification,
        failed=[check for check in checks if check.status == "fail"],
        asked={
            check.id: [one for one in QUESTIONS if one.is_about(check.id)]
            for check in checks
            if check.status == "pass"
        },
        marks={"pass": "✓", "fail": "✕", "skipped": "\N{EN DASH}"},
    )
