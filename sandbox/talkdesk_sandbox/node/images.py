"""Which local command stands for a container image."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class ImageUnknown(Exception):  # noqa: N818 - named after what it says
    """No local command is declared for an image."""


@dataclass(frozen=True)
class Image:
    """What an image's own metadata would say: entry point, default arguments, environment, WORKDIR.

    ``folder`` is where its files are on this machine, "" for an image without any.
    """

    command: tuple[str, ...]
    args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    folder: str = ""

    def argv(self, command: list[str], args: list[str]) -> list[str]:
        """``command`` replaces the entry point and the default arguments, ``args`` the latter."""
        if command:
            return [*command, *args]
        return [*self.command, *(args or self.args)]


def image_name(reference: str) -> str:
    """``registry:5000/team/app:1.2@sha256:…`` → ``registry:5000/team/app``; without Docker's default."""
    name = reference.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    name = folder + slash + last.partition(":")[0]
    for prefix in ("docker.io/library/", "docker.io/"):
        name = name.removeprefix(prefix)
    return name


class Images:
    """The mapping in a JSON file ``{"<name>": {"command": […], "args": […], "env": {…}, "folder": "…"}}``.

    The file is read at each look-up, so that an image can be added while the node runs, as one pushes it to
    a registry.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, reference: str) -> Image:
        """Raises `ImageUnknown` where nothing is declared, or the file cannot be read."""
        name = image_name(reference)
        try:
            declared = json.loads(self._path.read_text())
            entry = declared.get(name)
            if entry is None:
                known = ", ".join(sorted(declared)) or "none"
                raise ImageUnknown(f"no local command is declared for image {name!r} (declared: {known})")
            return Image(
                tuple(entry["command"]),
                tuple(entry.get("args", ())),
                dict(entry.get("env", {})),
                str(entry.get("folder", "")),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ImageUnknown(
                f"the declaration of image {name!r} in {self._path} cannot be read: {error!r}"
            ) from error
