"""What went wrong is told in words: of whom, of which file, and never as an empty line."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import TYPE_CHECKING

import httpx
import pytest

from talkdesk_sandbox.customer.command import act
from talkdesk_sandbox.plain import plain
from talkdesk_sandbox.problems import in_words
from talkdesk_sandbox.whereabouts import Whereabouts, told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from talkdesk_sandbox.customer.acts import Customer


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


async def test_a_server_that_does_not_answer_is_told_with_the_seconds(silent: str) -> None:
    async with plain(timeout=httpx.Timeout(5, read=0.05)) as http:
        with pytest.raises(httpx.ReadTimeout) as raised:
            await http.get(f"{silent}path?secret=1")
    assert str(raised.value) == ""
    assert in_words(raised.value) == f"{silent} did not answer within 0.05 s"


async def test_a_server_that_hangs_up_is_told_with_its_address() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server, plain() as http:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(httpx.RequestError) as raised:
            await http.get(url)
    assert in_words(raised.value).startswith(url + ": ")
    assert len(in_words(raised.value)) > len(url) + 2


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/full"), "/tmp/full: No space left on device"),  # noqa: S108 - nothing is written
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError("of no number"), "of no number"),
        (ValueError("said"), "said"),
        (ValueError(), "ValueError"),
        (httpx.ReadTimeout(""), "ReadTimeout"),
    ],
)
def test_a_problem_is_told_with_its_file_or_at_least_by_its_kind(problem: Exception, words: str) -> None:
    assert in_words(problem) == words


def test_an_act_says_whom_it_waited_for_in_vain(
    silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    up = Whereabouts(console=silent, control=silent, browser=silent, kubeconfig="/k", programs="/p")

    async def ask(_: Customer) -> bool:
        async with plain(timeout=0.05) as http:
            await http.get(silent)
        return True

    said: list[str] = []
    with contextlib.ExitStack() as stack:
        assert stack.enter_context(told(up))
        assert act("northwind", ask, say=said.append) == 1
    assert said == [f"talkdesk-operator sandbox: {silent} did not answer within 0.05 s"]
