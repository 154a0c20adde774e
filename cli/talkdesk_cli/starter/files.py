"""The starter's files: pure, from the answers to texts."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from talkdesk_cli.starter.answers import SCOPES

if TYPE_CHECKING:
    from talkdesk_cli.starter.answers import Answers

#: What is written, in the order in which it is told.
NAMES = ("app.yaml", "values.yaml", "images.yaml", "partner-project.md")
SHEET = NAMES[-1]

_TEMPLATES = Environment(
    loader=PackageLoader("talkdesk_cli.starter"),
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701 - YAML and Markdown, of the author's own words; texts go through `quoted`
    keep_trailing_newline=True,
    trim_blocks=True,
)
#: JSON is YAML: no word of the author's can mean anything else in there.
_TEMPLATES.filters["quoted"] = lambda text: json.dumps(text, ensure_ascii=False)
_TEMPLATES.filters["shell"] = shlex.quote


def starter(given: Answers) -> dict[str, str]:
    """File name → text."""
    return {name: _TEMPLATES.get_template(f"{name}.j2").render(app=given, scopes=SCOPES) for name in NAMES}
