"""Handing a mail over, to a real SMTP server: TLS, login, refusals, and servers that do not answer."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from talkdesk_operator.mail.compose import Letter
from talkdesk_operator.mail.message import Sender, message
from talkdesk_operator.mail.recipient import Recipient
from talkdesk_operator.mail.settings import MailSettings
from talkdesk_operator.mail.smtp import Fault, NotSent, Smtp
from talkdesk_sandbox.certificates import Authority

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path

ADA = "ada@acme.example"
PASSWORD = "correct horse"


def a_message() -> EmailMessage:
    return message(
        Letter("Grüße", "Hello ü\n.\nQUIT\n", "<p>ü</p>"),
        sender=Sender("apps@example.com", "Calls"),
        to=Recipient(ADA, "Ada"),
        mail_id="0123",
        date=datetime(2026, 1, 5, tzinfo=UTC),
    )


def smtp(port: int, **more: Any) -> Smtp:
    settings = {
        "smtp_host": "127.0.0.1",
        "smtp_port": port,
        "smtp_from": "apps@example.com",
        "smtp_seconds": 10,
    }
    return Smtp(MailSettings(**{"smtp_tls": "none"} | settings | more), local_name="operator-0")


async def send(sender: Smtp) -> None:
    await sender.send(a_message(), sender="apps@example.com", to=ADA)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, name="mail CA", now=datetime.now(UTC))


def secret(folder: Path, password: str = PASSWORD) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "username").write_text("operator")
    (folder / "password").write_text(password + "\n")
    return folder


async def test_a_mail_arrives_as_it_was_written(mail_server: Any) -> None:
    server = mail_server()
    async with server.up() as port:
        await send(smtp(port))
    (mail,) = server.kept
    assert (mail["Subject"], mail["Message-ID"]) == ("Grüße", "<0123@example.com>")
    assert mail.get_body(("plain",)).get_content().splitlines() == ["Hello ü", ".", "QUIT"]
    assert mail.get_body(("html",)).get_content().strip() == "<p>ü</p>"


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_with_tls_the_login_of_the_secret_is_used_as_it_is_now(
    mail_server: Any, authority: Authority, tmp_path: Path, tls: str
) -> None:
    context = authority.issue("mail", common_name="mail", hosts=["127.0.0.1"]).server_context()
    server = mail_server(tls=tls, context=context, login=("operator", PASSWORD))
    folder = secret(tmp_path / "login", "not yet")
    async with server.up() as port:
        sender = smtp(port, smtp_tls=tls, smtp_ca_file=authority.certificate, smtp_credentials=folder)
        with pytest.raises(NotSent) as refused:
            await send(sender)
        assert refused.value.fault is Fault.PASSING
        assert "535" in str(refused.value)
        assert "not yet" not in str(refused.value)
        secret(folder)
        await send(sender)
    assert len(server.kept) == 1


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_server_with_a_strangers_certificate_gets_neither_mail_nor_password(
    mail_server: Any, authority: Authority, tmp_path: Path, tls: str
) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", name="other CA", now=datetime.now(UTC))
    context = stranger.issue("mail", common_name="mail", hosts=["127.0.0.1"]).server_context()
    server = mail_server(tls=tls, context=context, login=("operator", PASSWORD))
    async with server.up() as port:
        folder = secret(tmp_path / "login")
        with pytest.raises(NotSent, match="certificate") as refused:
            await send(smtp(port, smtp_tls=tls, smtp_ca_file=authority.certificate, smtp_credentials=folder))
    assert refused.value.fault is Fault.PASSING
    assert server.kept == []


async def test_a_server_that_offers_no_starttls_gets_nothing(mail_server: Any) -> None:
    server = mail_server()
    async with server.up() as port:
        with pytest.raises(NotSent) as refused:
            await send(smtp(port, smtp_tls="starttls"))
    assert refused.value.fault is Fault.PASSING
    assert server.kept == []


@pytest.mark.parametrize(
    ("recipient", "data", "fault"),
    [
        ("550 5.1.1 <ada@acme.example> is unknown", "250 ok", Fault.REFUSED),
        ("450 4.2.1 come again", "250 ok", Fault.PASSING),
        (None, "554 5.7.1 not wanted", Fault.REFUSED),
        (None, "451 4.3.0 not now", Fault.PASSING),
    ],
)
async def test_what_the_server_refuses_for_good_is_told_from_what_it_refuses_now(
    mail_server: Any, recipient: str | None, data: str, fault: Fault
) -> None:
    server = mail_server(answer=data, refused={ADA: recipient} if recipient else {})
    async with server.up() as port:
        with pytest.raises(NotSent) as refused:
            await send(smtp(port))
    assert refused.value.fault is fault
    assert (recipient or data).split()[0] in str(refused.value)
    assert ADA not in str(refused.value)


async def test_a_server_that_is_down_or_silent_is_worth_another_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(NotSent, match=r"no answer within 0\.2 s|[Tt]imed out") as refused:
            await send(smtp(port, smtp_seconds=0.2))
        assert refused.value.fault is Fault.PASSING
    with pytest.raises(NotSent) as refused:
        await send(smtp(port))
    assert refused.value.fault is Fault.PASSING
    assert f"127.0.0.1:{port}" in str(refused.value)


async def test_a_missing_key_of_the_secret_is_named(mail_server: Any, tmp_path: Path) -> None:
    folder = secret(tmp_path / "login")
    (folder / "password").unlink()
    async with mail_server().up() as port:
        with pytest.raises(NotSent, match="the key password of the SMTP credentials"):
            await send(smtp(port, smtp_tls="starttls", smtp_credentials=folder))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"smtp_host": "mail"}, "smtp_from"),
        ({"smtp_host": "mail", "smtp_from": "a\r\nb@c.example"}, "smtp_from"),
        (
            {"smtp_host": "mail", "smtp_from": "a@b.example", "smtp_tls": "none", "smtp_credentials": "/x"},
            "in clear",
        ),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_at_the_start(
    settings: dict[str, str], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        MailSettings(**settings)
