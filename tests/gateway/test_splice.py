"""Where frames end in a stream of bytes, and what goes through once access has ended."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_gateway.frames import Frames, close_frame
from talkdesk_gateway.splice import Direction

if TYPE_CHECKING:
    from collections.abc import Callable


def framed(payload: bytes, *, opcode: int = 2, mask: bytes = b"", final: bool = True) -> bytes:
    size = len(payload)
    bit = 0x80 if mask else 0
    head = bytes([(0x80 if final else 0) | opcode])
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", size)
    return head + mask + payload


FRAMES = [
    framed(b""),
    framed(b"hello", mask=b"abcd"),
    framed(b"x" * 126, final=False),
    framed(b"y" * 70_000, opcode=0, mask=b"wxyz"),
    framed(b"ping", opcode=9),
    framed(b"z" * 65_535),
]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000, 65536, 10**6])
def test_the_ends_of_frames_are_found_however_the_bytes_are_cut(step: int) -> None:
    stream = b"".join(FRAMES)
    ends = {sum(len(frame) for frame in FRAMES[: count + 1]) for count in range(len(FRAMES))}
    frames = Frames()
    for start in range(0, len(stream), step):
        frames.feed(stream[start : start + step])
        assert frames.between is (min(start + step, len(stream)) in ends)
        assert not frames.closed
    frames.feed(close_frame(1000, "", masked=True))
    assert frames.closed


def test_the_rest_of_a_frame_is_told_from_what_follows() -> None:
    frames = Frames()
    first = framed(b"a" * 1000)
    frames.feed(first[:10])
    assert frames.rest(first[10:] + framed(b"next")) == len(first) - 10
    assert frames.between


class Written:
    """Stands where a Direction has its StreamWriter."""

    def __init__(self) -> None:
        self.bytes = b""
        self.began = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.bytes += data
        self.began.set()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("opcode", [2, 8])
async def test_nothing_that_was_begun_after_a_refusal_follows_the_close(masked: bool, opcode: int) -> None:
    under_way, begun = framed(b"a" * 100, opcode=opcode), framed(b"b" * 1000)
    reader, written = asyncio.StreamReader(), Written()
    writer: Any = written
    way = Direction(reader, writer, masked=masked)
    way.frames.feed(under_way[:50])
    reader.feed_data(under_way[50:] + begun[:500])
    closing = asyncio.create_task(way.close(1008, "over"))
    await asyncio.wait_for(written.began.wait(), 5)
    reader.feed_data(begun[500:] + framed(b"c"))
    reader.feed_eof()
    await asyncio.wait_for(closing, 5)
    said = written.bytes.removeprefix(under_way[50:])
    ours = close_frame(1008, "over", masked=masked) if opcode != 8 else b""
    assert (len(said), said[:2]) == (len(ours), ours[:2])


@pytest.mark.parametrize("masked", [False, True])
def test_a_close_of_ours_is_a_whole_frame(masked: bool, decoded: Callable[[bytes], tuple[int, str]]) -> None:
    frame = close_frame(1008, "x" * 500, masked=masked)
    assert decoded(frame) == (1008, "x" * 123)
    frames = Frames()
    frames.feed(frame)
    assert frames.closed
    assert frames.between


@pytest.fixture
def decoded() -> Callable[[bytes], tuple[int, str]]:
    """Code and reason of a Close frame, read by the RFC's own words."""

    def read(frame: bytes) -> tuple[int, str]:
        assert frame[0] == 0x88
        masked, size = frame[1] & 0x80, frame[1] & 0x7F
        body = frame[6:] if masked else frame[2:]
        assert len(body) == size
        if masked:
            body = bytes(byte ^ frame[2 + index % 4] for index, byte in enumerate(body))
        return struct.unpack(">H", body[:2])[0], body[2:].decode()

    return read
