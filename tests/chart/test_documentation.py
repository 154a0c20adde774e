"""What the pages tell people to do with an installed release."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from pathlib import Path


def text_of_pages(chart: Path) -> str:
    """What tells people to do something, page after page."""
    root = chart.parents[1]
    pages = [chart / "templates" / "NOTES.txt", root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def commands(chart: Path) -> list[str]:
    """Each ``kubectl … logs …`` of a page, up to its pipe."""
    return re.findall(r"kubectl [^`|\n]*?\blogs\b[^`|\n]*", text_of_pages(chart))


def test_every_helm_command_names_the_releases_namespace(chart: Path) -> None:
    # With arguments: what is only mentioned has none. Without the option helm looks in the current context's.
    found = re.findall(r"\bhelm [a-z]+ (?!talkdesk-operator)[^\s`|]+ [^`|\n]+", text_of_pages(chart))
    assert {one.split()[1] for one in found} >= {"install", "upgrade"}
    assert [one for one in found if not re.search(r"(--namespace|-n) \S", one)] == []


def test_no_command_for_a_log_leaves_out_a_replica_or_most_of_its_lines(chart: Path) -> None:
    values = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    replicas = {name: part["replicas"] for name, part in values.items() if "replicas" in (part or ())}
    several = {name for name, number in replicas.items() if number > 1}
    found = commands(chart)
    # kubectl reads one pod of a Deployment; with a selector it reads all of them, ten lines of each.
    of_one = [one for one in found if re.search(rf"\bdeploy\S*[/ ]\S+-({'|'.join(several)})\b", one)]
    assert of_one == []
    selecting = [one for one in found if " -l " in one]
    selected = [part for one in selecting for part in re.findall(r"component=(\w+)", one)]
    assert sorted(selected) == ["gateway", "operator"]
    assert set(selected) <= several
    assert [one for one in selecting if " --tail=-1 " not in one or " -n " not in one] == []
