"""An event is stored or it is not, and which of the two is said in time, whatever the API server does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from talkdesk_kube import Unreachable
from talkdesk_kube.errors import Status
from talkdesk_webhook.event import Event
from talkdesk_webhook.metrics import Metrics
from talkdesk_webhook.store import NotStoredError, Store

if TYPE_CHECKING:
    from talkdesk_kube import Kube


class TimedOutByItself:
    """A client of an API server that says nothing, and that once takes being cancelled for its own time-out.

    A time-out inside a library that ends in the same moment as one around it may be told from it, or not.
    """

    def __init__(self) -> None:
        self.asked = 0

    async def get(self, *_: Any, **__: Any) -> dict[str, Any]:
        self.asked += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if self.asked > 1:
                raise
            status = Status(code=0, reason="Timeout", message="no answer")
            raise Unreachable(status, "GET", "/apis") from None
        raise AssertionError("nobody answers")


async def test_no_attempt_begins_after_the_time_is_over() -> None:
    kube = TimedOutByItself()
    store = Store(
        kube=cast("Kube", kube),
        namespace="talkdesk",
        release="talkdesk",
        credentials_namespace="keys",
        metrics=Metrics(),
    )
    event = Event(id="e", type="app.updated", at=None, app_id="a", account_id="c", installation_id="i")
    async with asyncio.timeout(5):
        with pytest.raises(NotStoredError, match="out-of-time: GET /apis: Timeout: no answer"):
            await store.put(event, deadline=asyncio.get_running_loop().time() + 0.05)
    assert kube.asked == 1
