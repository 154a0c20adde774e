"""Chromium is found, or installed, or the error says what to do."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from talkdesk_sandbox.chromium import (
    NAMES,
    WITHOUT_WINDOWS,
    ChromiumMissing,
    chromium,
    find,
    find_or_install,
)

if TYPE_CHECKING:
    from pathlib import Path


def program(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", [*NAMES, *WITHOUT_WINDOWS])
def test_it_is_found_by_any_of_its_names_on_the_path_or_beside_it(tmp_path: Path, name: str) -> None:
    made = program(tmp_path, name)
    assert find({"PATH": str(tmp_path)}, also="") == made
    assert find({"PATH": "/nowhere"}, also=str(tmp_path)) == made
    assert find({"PATH": "/nowhere", "CHROMIUM": str(made)}, also="") == made
    assert find({"PATH": "/nowhere"}, also="") is None


def test_one_without_windows_is_taken_first_unless_somebody_wants_to_see_it(tmp_path: Path) -> None:
    seen, unseen = program(tmp_path, NAMES[0]), program(tmp_path, WITHOUT_WINDOWS[0])
    assert find({"PATH": str(tmp_path)}, also="") == unseen
    assert find({"PATH": str(tmp_path)}, also="", headless=False) == seen


def test_the_one_that_is_named_counts_or_nothing(tmp_path: Path) -> None:
    named = {"PATH": str(program(tmp_path, "chromium").parent), "CHROMIUM": "/nowhere/chromium"}
    assert find(named) is None
    with pytest.raises(ChromiumMissing, match="CHROMIUM=/nowhere/chromium does not exist"):
        find_or_install(environment=named)


def test_without_root_the_error_says_what_to_do() -> None:
    with pytest.raises(ChromiumMissing, match="apt-get install chromium"):
        find_or_install(environment={"PATH": "/nowhere"}, also="", is_root=lambda: False)


@pytest.mark.processes
def test_root_installs_it_and_says_so(tmp_path: Path) -> None:
    source, place = program(tmp_path, "source"), tmp_path / "bin"
    place.mkdir()
    told: list[str] = []
    commands = [[str(shutil.which("cp")), str(source), str(place / "chromium")]]
    found = find_or_install(
        told.append,
        environment={"PATH": "/nowhere"},
        also=str(place),
        commands=commands,
        is_root=lambda: True,
    )
    assert found == place / "chromium"
    assert len(told) == 1


@pytest.mark.processes
@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["sh", "-c", "echo E: no network >&2; exit 100"], "E: no network"),
        (["/nowhere/apt-get"], "/nowhere/apt-get"),
        (["true"], "under a known name"),
    ],
)
def test_an_installation_that_fails_is_told_in_one_line(command: list[str], says: str) -> None:
    command = [shutil.which(command[0]) or command[0], *command[1:]]
    with pytest.raises(ChromiumMissing, match=says) as failed:
        find_or_install(environment={"PATH": "/nowhere"}, also="", commands=[command], is_root=lambda: True)
    assert "\n" not in str(failed.value)


@pytest.mark.processes
async def test_it_opens_names_under_localhost_on_this_machine_with_secure_cookies_and_nothing_else() -> None:
    async def page(request: web.Request) -> web.Response:
        response = web.Response(
            text=f"<p>{request.headers['Host'].partition(':')[0]}", content_type="text/html"
        )
        response.set_cookie("__Host-c", "1", secure=True, path="/", httponly=True)
        return response

    async def cookie(request: web.Request) -> web.Response:
        return _page(request.headers.get("Cookie", ""))

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/cookie", cookie)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with chromium() as browser:
            tab = await browser.new_page()
            await tab.goto(f"http://a.demo.localhost:{port}/")
            assert await tab.inner_text("p") == "a.demo.localhost"
            await tab.goto(f"http://a.demo.localhost:{port}/cookie")
            assert "__Host-c=1" in await tab.inner_text("body")
            with pytest.raises(Exception, match="ERR_NAME_NOT_RESOLVED"):
                await tab.goto("http://www.example.com/")
    finally:
        await runner.cleanup()


def _page(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html")
