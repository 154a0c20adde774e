"""Pure rewriting of a container's words: ``$(VAR)`` and the paths of mounts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\(([A-Za-z_.\-][A-Za-z0-9_.\-]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Kubernetes' expansion: ``$(NAME)`` is replaced if known and else left, ``$$`` is one dollar sign.

    Mirrors ``k8s.io/kubernetes/third_party/forked/golang/expansion``.
    """

    def replacement(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:
            return "$"
        return variables.get(name, match.group(0))

    return _REFERENCE.sub(replacement, text)


class MountPaths:
    """Replaces the places where a mount would be seen by the folders where it really is.

    A process without a mount namespace cannot see ``/etc/app``; it is told ``<pod's folder>/volumes/app``
    instead. Each text is rewritten in one pass, the longest path first, and only where the path stands by
    itself: ``/data`` does not match in ``/database``, ``/x/data`` or ``http://host/data``, but does in
    ``/data/a``, ``--dir=/data`` and ``file:///data``.
    """

    def __init__(self, folders: Mapping[str, str]) -> None:
        self._folders = {path.rstrip("/"): folder for path, folder in folders.items() if path.rstrip("/")}
        longest_first = sorted(self._folders, key=len, reverse=True)
        alternatives = "|".join(re.escape(path) for path in longest_first)
        self._pattern = (
            re.compile(rf"(?:(?<=://)|(?<=:///)|(?<![\w.\-/]))(?:{alternatives})(?![\w.\-])")
            if longest_first
            else None
        )

    def rewrite(self, text: str) -> str:
        """The text with every mount path replaced, once."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self._folders[match.group(0)], text)
