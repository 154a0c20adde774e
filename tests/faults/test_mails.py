"""The API server stores that a mail is owed, and its answer is lost: the mail is sent all the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from talkdesk_crds.names import MAILS_ANNOTATION
from talkdesk_sandbox.interceptor import Cut, Exchange
from talkdesk_sandbox.story.observe import NotYet, eventually

if TYPE_CHECKING:
    from aiohttp import web


async def test_a_mail_whose_record_was_stored_without_our_hearing_of_it_is_sent(products: Any) -> None:
    product = await products.make()
    cut: list[bool] = []

    async def rule(exchange: Exchange) -> web.StreamResponse:
        answer = await exchange.forward()
        about = (json.loads(exchange.body).get("metadata") or {}) if exchange.method == "PATCH" else {}
        if not cut and MAILS_ANNOTATION in (about.get("annotations") or {}):
            cut.append(True)
            raise Cut
        return answer

    product.operators[0].kubernetes.rule = rule
    await product.install()

    async def arrived() -> None:
        mails = (await product.marketplace.http.get("/control/mails")).json()["mails"]
        if not mails:
            raise NotYet("no mail")
        assert len({mail["message_id"] for mail in mails}) == 1

    await eventually(arrived, within=30)
    assert cut
    assert product.operators[0].process.starts == 1
