"""What arrives at the stand-in's SMTP server is seen in its console."""

from __future__ import annotations

import asyncio
import smtplib
from typing import TYPE_CHECKING

from talkdesk_sandbox.plain import plain
from talkdesk_sandbox.talkdesk.platform import Talkdesk
from talkdesk_sandbox.talkdesk.server import serve
from talkdesk_sandbox.talkdesk.switches import Switches

if TYPE_CHECKING:
    from pathlib import Path

_MAIL = "Subject: Ready & set\n\nHello, Ada."


async def test_a_mail_that_arrives_is_in_the_consoles_mailbox(tmp_path: Path) -> None:
    async with serve(Talkdesk(switches=Switches()), directory=tmp_path) as where:
        host, _, port = where.smtp.partition(":")

        def send() -> None:
            with smtplib.SMTP(host, int(port)) as there:
                there.sendmail("apps@demo.localhost", ["ada@acme.example"], _MAIL)

        await asyncio.to_thread(send)
        name = {"Host": where.console.removeprefix("http://").rstrip("/")}
        async with plain() as http:
            page = await http.get(f"{where.browser}/mailbox", headers=name)
        assert page.status_code == 200
        for words in ("Ready &amp; set", "ada@acme.example", "Hello, Ada."):
            assert words in page.text
