"""``docs/conditions.md`` and the constants say the same."""

from __future__ import annotations

import re
from pathlib import Path

from talkdesk_crds.conditions import APP_CONDITIONS, INSTALLATION_CONDITIONS, Reason

TEXT = (Path(__file__).parents[2] / "docs" / "conditions.md").read_text(encoding="utf-8")


def rows(columns: int) -> set[str]:
    """The first cells of the rows of tables with so many columns."""
    found = [line.strip().strip("|").split("|") for line in TEXT.splitlines() if line.startswith("| `")]
    return {cells[0].strip().strip("`") for cells in found if len(cells) == columns}


def test_every_reason_has_a_row_that_says_what_to_do_and_no_row_speaks_of_a_reason_that_is_gone() -> None:
    assert rows(4) == {reason.value for reason in Reason}


def test_no_cell_is_empty() -> None:
    lines = [line for line in TEXT.splitlines() if line.startswith("| `")]
    assert [
        line for line in lines if not all(cell.strip() for cell in line.strip().strip("|").split("|"))
    ] == []


def test_every_condition_type_has_a_row_and_no_row_speaks_of_a_type_that_is_gone() -> None:
    assert rows(3) == {*INSTALLATION_CONDITIONS, *APP_CONDITIONS}


def test_types_and_reasons_are_what_the_schema_takes() -> None:
    names = {*Reason, *INSTALLATION_CONDITIONS, *APP_CONDITIONS}
    assert [name for name in names if not re.fullmatch(r"[A-Z][A-Za-z]*", name)] == []
