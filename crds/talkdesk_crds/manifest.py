"""The TalkdeskApp in a file that a person wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from talkdesk_crds.app import TalkdeskApp

if TYPE_CHECKING:
    from pathlib import Path


def app_in(manifest: Path) -> tuple[dict[str, Any], TalkdeskApp]:
    """The first TalkdeskApp in ``manifest``, as it is written and as it is read.

    Raises OSError, and ValueError where there is none that can be read.
    """
    try:
        documents = list(yaml.safe_load_all(manifest.read_text()))
    except yaml.YAMLError as broken:
        raise ValueError(f"not YAML: {' '.join(str(broken).split())}") from None
    found = next(
        (one for one in documents if isinstance(one, dict) and one.get("kind") == "TalkdeskApp"), None
    )
    if found is None:
        raise ValueError("there is no TalkdeskApp in it")
    try:
        return found, TalkdeskApp.model_validate(found)
    except ValidationError as error:
        told = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ValueError("; ".join(told)) from None
