"""Whether there is room for a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from talkdesk_sandbox.controlplane import AssetsError
from talkdesk_sandbox.controlplane.room import Demand, check_room

if TYPE_CHECKING:
    from pathlib import Path

_GB = 10**9


def test_folders_of_one_disk_share_its_room(tmp_path: Path) -> None:
    demands = [Demand(tmp_path / "not" / "yet", 4 * _GB), Demand(tmp_path / "there", 2 * _GB)]
    check_room(demands, free=lambda _: 6 * _GB)
    with pytest.raises(AssetsError, match=r"needs about 6\.0 GB in .*, and 5\.9 GB are free; make room"):
        check_room(demands, free=lambda _: 59 * _GB // 10)


def test_what_the_caches_hold_already_is_not_needed_again(tmp_path: Path) -> None:
    with (tmp_path / "cached").open("wb") as file:
        file.truncate(3 * _GB)  # a hole: it takes no room
    check_room([Demand(tmp_path, 4 * _GB)], free=lambda _: _GB)
    with pytest.raises(AssetsError, match=r"needs about 1\.0 GB"):
        check_room([Demand(tmp_path, 4 * _GB)], free=lambda _: _GB - 1)


def test_a_demand_of_a_real_disk_no_disk_can_meet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssetsError, match="too little room"):
        check_room([Demand(tmp_path, 10**21)])
