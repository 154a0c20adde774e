"""Which command stands for an image of the partner's: ``NAME=COMMAND``, or a YAML file of them."""

from __future__ import annotations

import re
import shlex
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from talkdesk_sandbox.node.images import Image, image_name

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

#: What no program is: the shell does it itself.
_SHELLS_OWN = frozenset(
    (
        *("!", "[[", "case", "for", "function", "if", "select", "time", "until", "while", "{"),
        *(".", ":", "break", "continue", "eval", "exec", "exit", "export", "local", "readonly", "return"),
        *("set", "shift", "source", "times", "trap", "unset"),
        *("alias", "bg", "cd", "command", "fg", "getopts", "hash", "jobs", "read", "type", "ulimit", "umask"),
        *("unalias", "wait"),
    )
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_OPERATOR, _REDIRECTION = re.compile(r"[();<>|&\n]+"), re.compile(r"<|<<|<&|>|>>|>&|>\|")
#: A container's SIGTERM goes to its process 1 alone. Where that is the shell, it passes the signal on to all
#: of the container, goes no further in the line, and ends as what it waits for does.
_ATTENDED = """trap 'trap : TERM; kill -TERM 0' TERM
(trap exit TERM
{line}
) &
while wait $!; code=$?; kill -0 $! 2>&-; do :; done
exit $code"""


def named(pair: str) -> tuple[str, Image]:
    """An image's name and what it is on the node, of ``NAME=COMMAND``; its folder is the current one.

    Raises ValueError.
    """
    name, equals, command = pair.partition("=")
    if not equals or not name.strip() or not command.strip():
        raise ValueError(f"{pair!r} is not NAME=COMMAND")
    return image_name(name.strip()), Image(entry_point(command), folder=str(Path.cwd()))


def listed(file: Path) -> dict[str, Image]:
    """The images in ``file``, ``name: command`` each; their folder is the file's.

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
        images[image_name(str(name))] = Image(entry_point(command), folder=str(file.absolute().parent))
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


def entry_point(command: str | Sequence[object]) -> tuple[str, ...]:
    """The entry point that runs ``command`` (for the shell, or a list of words).

    A container's ``args`` come after it, as they do after an image's entry point. A line that is more than
    one simple command has them where it names them, as ``"$@"``.
    """
    if isinstance(command, str):
        script = _script(command.strip())
    else:
        script = f'exec {shlex.join(map(str, command))} "$@"'
    return ("/bin/sh", "-c", script, "sh")


def _script(line: str) -> str:
    start = _start(line)
    return f'{start} {line} "$@"' if start else _ATTENDED.format(line=line)


def _start(line: str) -> str | None:
    """What has a simple command take the shell's place, so that signals reach it; None for any other line."""
    parts = _parts(line)
    assigned = list(takewhile(_ASSIGNMENT.match, parts))
    program = parts[len(assigned) : len(assigned) + 1]
    operators = [one for one in parts if _OPERATOR.fullmatch(one) and not _REDIRECTION.fullmatch(one)]
    if not program or program[0] in _SHELLS_OWN or operators:
        return None
    if not assigned:
        return "exec"
    # The shell does not split what it expands in an assignment; in an argument of env it would.
    return None if set("$~`") & set("".join(assigned)) else "exec env"


def _parts(line: str) -> list[str]:
    """The words and operators of ``line``; none where only a shell can tell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    try:
        return list(lexer)
    except ValueError:  # a comment's apostrophe, or a mistake that the shell tells better
        return []
