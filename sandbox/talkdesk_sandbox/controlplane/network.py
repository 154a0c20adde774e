"""The addresses of one control plane. Several run on one machine at once, so each claims a block of its own.

Everything in 127.0.0.0/8 is this machine on Linux, so a block of two /16 networks is enough: one holds the
ClusterIPs, the other the addresses pods listen on. Endpoints refuse loopback addresses, therefore a pod's
address is *reported* in another range, with the same last two numbers.
"""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from talkdesk_sandbox.certificates import write_private
from talkdesk_sandbox.controlplane.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Iterator

# 127.0 and 127.1 are used by resolvers and by people; upwards from 200 nobody has been seen.
_BLOCKS = (*range(200, 254, 2), *range(16, 200, 2))
_CLAIM_PORT = 19999
# Below the range from which Linux takes the ports of outgoing connections (32768 and up), and a share of
# its own for each block, so that two control planes starting together cannot take each other's.
FIRST_PORT = 20000
_PORTS_PER_BLOCK = 64

REPORTED_CIDR = "10.77.0.0/16"
#: What the API server advertises as its own address; fictitious, for Endpoints refuse loopback.
ADVERTISED_ADDRESS = "10.77.255.1"


class NodeTLS(BaseModel):
    """PEM files with which the node serves what ``kubectl logs`` asks for.

    ``certificate`` and ``key`` are the node's own (for 127.0.0.1 and localhost); whoever asks must show a
    certificate signed by ``client_ca``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    certificate: Path
    key: Path
    client_ca: Path


class Network(BaseModel):
    """The address block of one control plane, as its node reads it from the network file (JSON)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: ClusterIPs; each can be bound as it is.
    service_cidr: str
    #: Where pods really listen.
    pod_listen_cidr: str
    #: What is written into pods' status instead of that; the last two numbers are the same.
    pod_reported_cidr: str = REPORTED_CIDR
    #: Address of the node, for the API server to reach its ``/containerLogs``.
    node_address: str = "127.0.0.1"
    #: Absent where the control plane is not ours, and ``kubectl logs`` therefore does not work.
    node_tls: NodeTLS | None = None

    @classmethod
    def of_block(cls, block: int) -> Network:
        """The network of the even ``block`` number: services in 127.block, pods in 127.(block + 1)."""
        return cls(service_cidr=f"127.{block}.0.0/16", pod_listen_cidr=f"127.{block + 1}.0.0/16")

    def listen_address(self, reported: str) -> str:
        """Where the pod reported at ``reported`` listens. ValueError if it is not of the reported range."""
        return _moved(reported, self.pod_reported_cidr, self.pod_listen_cidr)

    def reported_address(self, listening: str) -> str:
        """How the pod listening at ``listening`` is reported. ValueError if it is not of the listen range."""
        return _moved(listening, self.pod_listen_cidr, self.pod_reported_cidr)

    def write(self, path: Path) -> None:
        """Write the network file (JSON)."""
        write_private(path, (self.model_dump_json(indent=2) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> Network:
        """Read a network file. OSError or pydantic.ValidationError when it is not one."""
        return cls.model_validate_json(path.read_text())


def _moved(address: str, source: str, target: str) -> str:
    before, after = ipaddress.IPv4Network(source), ipaddress.IPv4Network(target)
    value = ipaddress.IPv4Address(address)
    if value not in before:
        raise ValueError(f"{address} is not in {source}")
    return str(after[int(value) - int(before.network_address)])


class Claim:
    """A block held for as long as this object is open; the kernel frees it when the process dies."""

    def __init__(self, block: int, holder: socket.socket) -> None:
        self._holder = holder
        self._block = block
        self.network = Network.of_block(block)

    @classmethod
    def take(cls) -> Claim:
        """Claim the first free block. StartError when all are taken or loopback aliases are missing."""
        last: OSError | None = None
        for block in _BLOCKS:
            holder = socket.socket()
            try:
                holder.bind((f"127.{block}.255.254", _CLAIM_PORT))
            except OSError as error:
                holder.close()
                last = error
                continue
            return cls(block, holder)
        raise StartError(
            f"no free loopback block among {len(_BLOCKS)} ({last}): stop another control plane; on macOS the"
            " addresses of 127.0.0.0/8 beyond 127.0.0.1 are missing, use Linux or a virtual machine"
        )

    def ports(self, count: int) -> list[int]:
        """``count`` ports of 127.0.0.1 that nobody listens on, from this block's own share."""
        free = self._free_ports()
        try:
            return [next(free) for _ in range(count)]
        except StopIteration:
            raise StartError(
                f"fewer than {count} free ports of 127.0.0.1 between {self._first_port} and"
                f" {self._first_port + _PORTS_PER_BLOCK - 1}: see who listens there (ss -ltnp) and stop it"
            ) from None

    @property
    def _first_port(self) -> int:
        return FIRST_PORT + _BLOCKS.index(self._block) * _PORTS_PER_BLOCK

    def _free_ports(self) -> Iterator[int]:
        for port in range(self._first_port, self._first_port + _PORTS_PER_BLOCK):
            with socket.socket() as probe:
                # As servers do it: connections of a predecessor that are not quite gone do not count.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            yield port

    def close(self) -> None:
        """Give the block back."""
        self._holder.close()
