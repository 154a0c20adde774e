"""Values that an annotation keeps as a JSON list, newest last: answers given, mails. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed import DataclassInstance


def render(values: Iterable[DataclassInstance]) -> str:
    """``values`` as text, without what is None; the same values give the same text."""
    entries = [{name: value for name, value in asdict(one).items() if value is not None} for one in values]
    return json.dumps(entries, sort_keys=True, separators=(",", ":"))
