"""A real browser for tests and certification: the machine's Chromium, driven by Playwright.

``*.localhost`` is this machine in it, whatever the system's resolver says, and nothing else is reached:
Chromium's own calls home are off.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from playwright.async_api import Browser
    from playwright.sync_api import Browser as SyncBrowser

#: What Chromium is called, in this order; and what it is called without its windows, which halves the work.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
WITHOUT_WINDOWS = ("chromium-headless-shell", "chrome-headless-shell", "headless_shell")
#: Distributions that are not of today have no package of the second.
_INSTALL = "apt-get install --yes --no-install-recommends"
_INSTALL_HEADLESS = (
    ("apt-get", "update"),
    ("sh", "-c", f"{_INSTALL} chromium-headless-shell || {_INSTALL} chromium"),
)
_INSTALL_HEADED = (("apt-get", "update"), ("sh", "-c", f"{_INSTALL} chromium"))
_INSTALL_SECONDS = 600
_ARGUMENTS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
)
_LOCAL = (
    "--host-resolver-rules=MAP *.localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
)


class ChromiumMissing(Exception):  # noqa: N818 - named after what it says
    """There is no Chromium and it cannot be installed; the text is one line that says what to do."""


def find(
    environment: Mapping[str, str] = os.environ, *, also: str = "/usr/bin", headless: bool = True
) -> Path | None:
    """Chromium: ``CHROMIUM`` if it is set, else by its names on PATH and in ``also``; None: not there.

    :param headless: nobody is to see it: one without windows will do, and is taken first.
    """
    if named := environment.get("CHROMIUM"):
        return Path(named) if Path(named).exists() else None
    path = os.pathsep.join(filter(None, (environment.get("PATH"), also)))
    names = (*WITHOUT_WINDOWS, *NAMES) if headless else NAMES
    found = (shutil.which(name, path=path) for name in names)
    return next((Path(each) for each in found if each), None)


def find_or_install(
    tell: Callable[[str], None] = lambda _: None,
    *,
    environment: Mapping[str, str] = os.environ,
    also: str = "/usr/bin",
    headless: bool = True,
    commands: Sequence[Sequence[str]] | None = None,
    is_root: Callable[[], bool] = lambda: os.geteuid() == 0,
) -> Path:
    """The program; installed by apt where it is missing and this process may.

    :param tell: hears what is being installed.
    :param headless: see :func:`find`.

    Raises ChromiumMissing.
    """
    if (found := find(environment, also=also, headless=headless)) is not None:
        return found
    if named := environment.get("CHROMIUM"):
        raise ChromiumMissing(f"CHROMIUM={named} does not exist: name the program, or unset it")
    if not is_root():
        raise ChromiumMissing(
            "Chromium is missing: install it (as root: apt-get install chromium), or name it by CHROMIUM=…"
        )
    tell("installing chromium by apt-get; this happens once")
    if commands is None:
        commands = _INSTALL_HEADLESS if headless else _INSTALL_HEADED
    for command in commands:
        _run(command, environment)
    if (found := find(environment, also=also, headless=headless)) is None:
        raise ChromiumMissing("apt-get installed no Chromium under a known name: name it by CHROMIUM=…")
    return found


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    words = " ".join(command)
    try:
        done = subprocess.run(
            command,
            env={**environment, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise ChromiumMissing(f"Chromium is missing, and `{words}` failed: {problem}") from problem
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise ChromiumMissing(f"Chromium is missing, and `{words}` failed: {''.join(last)}")


def _arguments(*, anywhere: bool = False) -> list[str]:
    """Chromium refuses to be root with its sandbox on; what it opens here is our own."""
    names = () if anywhere else (_LOCAL,)
    return [*_ARGUMENTS, *names, *(("--no-sandbox",) if os.geteuid() == 0 else ())]


@contextlib.asynccontextmanager
async def chromium(*, headless: bool = True, anywhere: bool = False) -> AsyncIterator[Browser]:
    """A running Chromium, for asyncio; ``browser.new_context()`` is a person with cookies of their own.

    :param anywhere: it reaches other machines too.

    Raises ChromiumMissing.
    """
    try:
        from playwright.async_api import async_playwright  # noqa: PLC0415 - not in the product's image
    except ImportError:
        raise ChromiumMissing(
            "Playwright, which drives the browser, is missing: pip install 'talkdesk-operator[certify]'"
        ) from None

    program = find_or_install(headless=headless)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=_arguments(anywhere=anywhere), headless=headless
        )
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.contextmanager
def sync_chromium(*, headless: bool = True) -> Iterator[SyncBrowser]:
    """The same without asyncio."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - see above

    program = find_or_install(headless=headless)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_arguments(), headless=headless)
        try:
            yield browser
        finally:
            browser.close()
