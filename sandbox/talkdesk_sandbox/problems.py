"""What went wrong, in words for a person: never an empty line, and never without what it is about."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LINES = 15


def in_words(problem: Exception) -> str:
    """What ``problem`` says, with the server or the file that it is about; its type where it says nothing."""
    import httpx  # noqa: PLC0415 - a program that only reads the end of a log does not pay for it

    text = str(problem) or type(problem).__name__
    if isinstance(problem, OSError) and problem.strerror:
        return f"{problem.filename}: {problem.strerror}" if problem.filename else problem.strerror
    if not isinstance(problem, httpx.RequestError):
        return text
    try:
        request = problem.request
    except RuntimeError:  # it has none
        return text
    server = request.url.copy_with(path="/", query=None)
    if isinstance(problem, httpx.TimeoutException):
        which = type(problem).__name__.removesuffix("Timeout").lower()
        seconds = request.extensions.get("timeout", {}).get(which)
        return f"{server} did not answer" + ("" if seconds is None else f" within {seconds:g} s")
    return f"{server}: {text}"


def end_of(log: Path) -> str:
    """The last lines of ``log``, each marked, and cut at 400 characters."""
    with contextlib.suppress(OSError):
        text = log.read_text(errors="replace").splitlines()[-_LINES:]
        return "\n".join(f"  | {line[:400]}" for line in text)
    return "  | (no log)"
