"""Address blocks: one a control plane, translated both ways."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from talkdesk_sandbox.controlplane import Network
from talkdesk_sandbox.controlplane.network import Claim

if TYPE_CHECKING:
    from pathlib import Path


def test_a_pod_listens_where_its_reported_address_says_within_the_own_block() -> None:
    network = Network.of_block(200)
    assert network.listen_address("10.77.3.9") == "127.201.3.9"
    assert network.reported_address("127.201.3.9") == "10.77.3.9"


@pytest.mark.parametrize("foreign", ["10.78.0.1", "127.0.0.1", "192.0.2.7"])
def test_an_address_of_another_range_is_an_error_that_names_it(foreign: str) -> None:
    with pytest.raises(ValueError, match=foreign):
        Network.of_block(200).listen_address(foreign)


def test_the_network_file_is_private_and_reads_back_equal(tmp_path: Path) -> None:
    network = Network.of_block(16)
    network.write(tmp_path / "network.json")
    assert Network.read(tmp_path / "network.json") == network
    assert (tmp_path / "network.json").stat().st_mode & 0o777 == 0o600


def test_two_claims_share_neither_addresses_nor_ports() -> None:
    first, second = Claim.take(), Claim.take()
    try:
        blocks = [first.network, second.network]
        ranges = {cidr for network in blocks for cidr in (network.service_cidr, network.pod_listen_cidr)}
        assert len(ranges) == 4
        assert not {"127.0.0.0/16", "127.1.0.0/16"} & ranges
        assert not set(first.ports(4)) & set(second.ports(4))
    finally:
        first.close()
        second.close()


def test_a_port_somebody_listens_on_is_left_out() -> None:
    claim = Claim.take()
    try:
        taken = claim.ports(1)[0]
        with socket.create_server(("127.0.0.1", taken)):
            assert taken not in claim.ports(4)
        assert taken in claim.ports(4)
    finally:
        claim.close()
