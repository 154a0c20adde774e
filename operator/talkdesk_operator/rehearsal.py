"""Before a tenant is changed: would the API server take the change as a whole?

Server-side apply knows no transaction. What would be refused for good (a claim cannot shrink, some fields
never change) is found out by dry runs first, so that a tenant is never left with half of a change.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from talkdesk_kube import KubeError
from talkdesk_operator import failures
from talkdesk_operator.inventory import object_id
from talkdesk_operator.owned import FIELD_MANAGER, digest_of
from talkdesk_operator.tenant import account_record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from talkdesk_kube import Kube, Obj
    from talkdesk_operator.failures import Failure
    from talkdesk_operator.inventory import Inventory

#: No server refuses it, and it changes oftener than all the rest.
_ACCOUNT_RECORD = ("v1", "ConfigMap", account_record.NAME)


def changed(known: Inventory, items: Iterable[Obj]) -> list[Obj]:
    """Those of which other content is wanted than was applied last. Drift is no change: it is repaired."""
    found = []
    for item in items:
        record = known.records.get(object_id(item))
        if object_id(item) != _ACCOUNT_RECORD and (record is None or record.wanted != digest_of(item)):
            found.append(item)
    return found


async def rehearse(kube: Kube, items: Iterable[Obj]) -> list[Failure]:
    """What the API server says against applying ``items``; empty where it would take them all."""
    wanted = list(items)
    results = await asyncio.gather(
        *(kube.apply(item, field_manager=FIELD_MANAGER, dry_run=True) for item in wanted),
        return_exceptions=True,
    )
    against = []
    for item, result in zip(wanted, results, strict=True):
        if isinstance(result, KubeError):
            against.append(failures.of_rehearsal(result, item))
        elif isinstance(result, BaseException):
            raise result
    return [failure for failure in against if failure is not None]
