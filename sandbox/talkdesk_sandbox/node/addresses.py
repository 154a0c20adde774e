"""Which address the next pod is reported with.

Where a pod really listens: see `talkdesk_sandbox.controlplane.network`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# 10.77.255.x is left to the control plane, which advertises the API server there.
_LEFT_OUT = 256


class NoAddressLeft(Exception):  # noqa: N818 - named after what it says
    """Every address of the pods' network is taken."""


@dataclass
class AddressPool:
    """Hands out addresses of ``cidr``, the longest unused first: a late client meets no newer pod."""

    cidr: str
    taken: set[str] = field(default_factory=set)
    _next: int = 2

    def take_known(self, addresses: Iterable[str]) -> None:
        """Mark addresses that pods already have; new ones are given out beyond them first."""
        network = IPv4Network(self.cidr)
        for address in addresses:
            self.taken.add(address)
            position = int(IPv4Address(address)) - int(network.network_address)
            self._next = max(self._next, position + 1)

    def take(self) -> str:
        """A free address; raises `NoAddressLeft`."""
        network = IPv4Network(self.cidr)
        end = network.num_addresses - _LEFT_OUT
        for _ in range(end):
            candidate = self._next if self._next < end else 2
            self._next = candidate + 1
            address = str(network[candidate])
            if candidate % 256 not in {0, 255} and address not in self.taken:
                self.taken.add(address)
                return address
        raise NoAddressLeft(f"all addresses of {self.cidr} are in use by pods: delete some")

    def give_back(self, address: str) -> None:
        """The pod is gone."""
        self.taken.discard(address)
