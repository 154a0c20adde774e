"""Ports that are known beforehand."""

from __future__ import annotations

import socket
from pathlib import Path

from talkdesk_sandbox.controlplane.network import FIRST_PORT
from talkdesk_sandbox.ports import free_port


def test_a_port_is_none_that_an_outgoing_connection_or_a_control_plane_may_take_meanwhile() -> None:
    first_of_the_system = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    drawn = {free_port() for _ in range(200)}
    assert len(drawn) > 100
    assert max(drawn) < min(first_of_the_system, FIRST_PORT)


def test_a_port_is_none_on_which_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        taken = server.getsockname()[1]
        assert taken not in {free_port() for _ in range(200)}
