"""Volumes, records, logs, processes and spliced connections on this machine, without a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_sandbox.node.log_server import tail_offset
from talkdesk_sandbox.node.process import Command, Process, run
from talkdesk_sandbox.node.records import ContainerRecord, PodRecord, Records
from talkdesk_sandbox.node.services import Listener
from talkdesk_sandbox.node.volumes import write_content
from talkdesk_sandbox.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ENV = {"PATH": "/usr/bin:/bin"}


def test_a_volume_is_switched_over_whole_and_private(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    write_content(folder, {"a": (b"1", 0o600), "deep/b": (b"2", 0o700)})
    opened = (folder / "a").open("rb")
    write_content(folder, {"a": (b"3", 0o600)})
    with opened:
        assert opened.read() == b"1"
    assert (folder / "a").read_bytes() == b"3"
    assert not (folder / "deep").exists()
    assert (folder / "a").stat().st_mode & 0o777 == 0o600
    assert (
        len([entry for entry in folder.iterdir() if entry.name.startswith("..") and entry.name != "..data"])
        == 1
    )


def test_an_unchanged_volume_is_not_written_again(tmp_path: Path) -> None:
    write_content(tmp_path, {"a": (b"1", 0o600)})
    before = (tmp_path / "..data").readlink()
    write_content(tmp_path, {"a": (b"1", 0o600)})
    assert (tmp_path / "..data").readlink() == before


def test_records_survive_and_broken_ones_are_left_out(tmp_path: Path) -> None:
    records = Records(tmp_path)
    record = PodRecord("uid-1", "10.77.0.2", {"main": ContainerRecord(restart_count=3, pid=7)})
    records.write(record)
    broken = records.pod_folder("uid-2")
    broken.mkdir()
    (broken / "record.json").write_text('{"uid": ')
    assert list(records.read_all()) == [record]
    records.forget("uid-1")
    assert list(records.read_all()) == []


@pytest.mark.parametrize(
    ("lines", "rest"), [(0, b""), (1, b"last\n"), (2, b"two\nlast\n"), (9, b"one\ntwo\nlast\n")]
)
def test_the_tail_begins_at_a_line(tmp_path: Path, lines: int, rest: bytes) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"one\ntwo\nlast\n")
    assert log.read_bytes()[tail_offset(log, lines) :] == rest


def test_the_tail_of_a_long_log_is_found_from_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"%06d %s\n" % (number, b"x" * 90) for number in range(5000)) + b"no newline")
    assert log.read_bytes()[tail_offset(log, 1501) :].startswith(b"003500 ")


@pytest.mark.processes
async def test_a_programs_end_is_its_exit_code_and_its_log_is_private(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = await Process.start(Command(["sh", "-c", "echo out; echo err >&2; exit 7"], ENV, tmp_path, log))
    assert await process.wait() == 7
    assert sorted(log.read_text().split()) == ["err", "out"]
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.processes
async def test_a_killed_program_takes_its_session_along(tmp_path: Path, until: Any) -> None:
    child = tmp_path / "child"
    process = await Process.start(
        Command(["sh", "-c", f"sleep 1000 & echo $! > {child}; wait"], ENV, tmp_path)
    )
    pid = int(await until(lambda: written(child)))
    process.kill_all()
    assert await process.wait() == 137
    await until(lambda: ended(pid))


async def written(path: Path) -> str:
    return content(path).strip()


async def ended(pid: int) -> bool:
    return content(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()[:1] in ([], ["Z"], ["X"])


def content(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


@pytest.mark.processes
async def test_a_program_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    assert await run(Command(["sleep", "1000"], ENV, tmp_path), within=0.05) is None


@pytest.mark.processes
async def test_a_program_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await run(Command(["no-such-program"], ENV, tmp_path), within=5)


@pytest.mark.processes
async def test_a_cancellation_that_meets_a_programs_end_is_not_lost(tmp_path: Path) -> None:
    async def look() -> None:
        while True:
            await run(Command(["true"], ENV, tmp_path), within=10)

    async def be_slow() -> None:
        # A busy loop takes milliseconds from one step to the next; between two of them both things happen.
        while True:
            time.sleep(0.002)  # noqa: ASYNC251 -- that is the point; computing would keep the GIL from threads
            await asyncio.sleep(0)

    slow = asyncio.create_task(be_slow())
    for steps in range(3, 23):
        looking = asyncio.create_task(look())
        for _ in range(steps):
            await asyncio.sleep(0)
        looking.cancel()
        done, _ = await asyncio.wait({looking}, timeout=5)
        assert done
    slow.cancel()


@contextlib.asynccontextmanager
async def echo_server() -> AsyncIterator[tuple[str, int]]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello ")
        while block := await reader.read(1 << 16):
            writer.write(block)
            await writer.drain()
        writer.write(b" bye")
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()


async def test_a_spliced_connection_carries_everything_and_half_closes(until: Any) -> None:
    payload = bytes(range(256)) * 20_000
    async with echo_server() as backend:
        listener = Listener([backend])
        port = free_port()
        await listener.open(("127.0.0.1", port))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(payload)
        writer.write_eof()
        async with asyncio.timeout(10):
            assert await reader.read() == b"hello " + payload + b" bye"
            writer.close()
            await writer.wait_closed()

        async def closed() -> bool:
            return not listener.alive

        await until(closed)
        listener.close(abort=True)


async def test_a_backend_that_refuses_resets_the_client() -> None:
    listener = Listener([("127.0.0.1", free_port())])
    port = free_port()
    await listener.open(("127.0.0.1", port))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(10):
        with pytest.raises(ConnectionResetError):
            await reader.read()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    listener.close(abort=True)


async def test_backends_are_used_in_turn() -> None:
    seen = []

    async def backend(name: str) -> asyncio.Server:
        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(name)
            writer.close()
            await writer.wait_closed()

        return await asyncio.start_server(serve, "127.0.0.1", 0)

    one, two = await backend("one"), await backend("two")
    listener = Listener([server.sockets[0].getsockname() for server in (one, two)])
    port = free_port()
    await listener.open(("127.0.0.1", port))
    for _ in range(4):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert seen == ["one", "two", "one", "two"]
    listener.close(abort=True)
    for server in (one, two):
        server.close()
        await server.wait_closed()
