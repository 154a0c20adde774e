"""Which command stands for an image of the partner's: ``NAME=COMMAND``, or a YAML file of them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from talkdesk_sandbox.node.images import image_name

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def named(pair: str) -> tuple[str, list[str]]:
    """An image's name and its words on the node, of ``NAME=COMMAND``; it runs in the current folder.

    Raises ValueError.
    """
    name, equals, command = pair.partition("=")
    if not equals or not name.strip() or not command.strip():
        raise ValueError(f"{pair!r} is not NAME=COMMAND")
    return image_name(name.strip()), words(command, folder=Path.cwd())


def listed(file: Path) -> dict[str, list[str]]:
    """The images in ``file``, ``name: command`` each; commands run in the file's folder.

    Raises OSError, and ValueError for what is not such a list.
    """
    try:
        found = yaml.safe_load(file.read_text())
    except yaml.YAMLError as broken:
        raise ValueError(f"not YAML: {' '.join(str(broken).split())}") from None
    if not isinstance(found, dict):
        raise ValueError("not a list of images: write `name: command` lines")  # noqa: TRY004 - of the file
    images = {}
    for name, command in found.items():
        if not isinstance(command, str | list) or not command:
            raise ValueError(f"image {name}: the command is a text, or a list of words")
        images[image_name(str(name))] = words(command, folder=file.absolute().parent)
    return images


def missing(app: Any, images: Collection[str]) -> list[str]:
    """Names of the images in the TalkdeskApp ``app``, as it is written, that ``images`` does not have.

    What hangs on a reference (``${plan.values.image}``) is not known before there is a customer.
    """
    found: dict[str, None] = {}
    if isinstance(app, dict):
        for key, value in app.items():
            if key == "image" and isinstance(value, str):
                if "${" not in value and image_name(value) not in images:
                    found[image_name(value)] = None
            else:
                found.update(dict.fromkeys(missing(value, images)))
    elif isinstance(app, list):
        for item in app:
            found.update(dict.fromkeys(missing(item, images)))
    return list(found)


def words(command: str | Sequence[object], *, folder: Path) -> list[str]:
    """The entry point that runs ``command`` (for the shell, or a list of words) in ``folder``.

    A container's ``args`` come after it, as they do after an image's entry point.
    """
    line = command if isinstance(command, str) else shlex.join(map(str, command))
    return ["/bin/sh", "-c", f'cd {shlex.quote(str(folder))} && exec {line} "$@"', "sh"]
