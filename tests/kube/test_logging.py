from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from talkdesk_kube.pod import configure_logging
from talkdesk_kube.pod.logging import QUIET
from talkdesk_kube.pod.redaction import MASK, is_secret_name, redact, redact_text

CANARY = "canary-Zx81-secret"
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ"
PEM = f"-----BEGIN EC PRIVATE KEY-----\n{CANARY}\n-----END EC PRIVATE KEY-----"

Configure = Callable[..., io.StringIO]


@pytest.fixture
def configured() -> Iterator[Configure]:
    """``configured(level=…, format=…)``: logging as in a pod, into the stream it returns."""
    root = logging.getLogger()
    handlers, before = list(root.handlers), structlog.get_config()
    levels = {logger: logger.level for logger in (root, *map(logging.getLogger, QUIET))}

    def configure(**options: Any) -> io.StringIO:
        stream = io.StringIO()
        configure_logging(stream=stream, **options)
        return stream

    yield configure
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    for logger, level in levels.items():
        logger.setLevel(level)
    logging.captureWarnings(capture=False)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_lines_and_the_libraries_have_one_form(configured: Configure) -> None:
    stream = configured()
    structlog.contextvars.bind_contextvars(event_id="e1")
    structlog.get_logger("ours").info("stored", installation="i1", count=3)
    logging.getLogger("theirs").warning("odd: %s", "thing", extra={"path": "/x"})
    ours, theirs = lines(stream)
    assert ours.pop("timestamp").endswith("Z")
    assert ours == {
        "event": "stored",
        "level": "info",
        "logger": "ours",
        "installation": "i1",
        "count": 3,
        "event_id": "e1",
    }
    assert {key: theirs[key] for key in ("event", "level", "logger", "path", "event_id")} == {
        "event": "odd: thing",
        "level": "warning",
        "logger": "theirs",
        "path": "/x",
        "event_id": "e1",
    }


def test_the_level_holds_for_all_and_chatty_libraries_are_heard_only_when_they_warn(
    configured: Configure,
) -> None:
    stream = configured(level="debug")
    for name in ("httpx", "aiohttp.access", "kubernetes.client.rest", "asyncio"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("trouble")
    structlog.get_logger("ours").debug("detail")
    assert [line["event"] for line in lines(stream)] == ["trouble"] * 4 + ["detail"]
    quiet = configured(level="warning")
    structlog.get_logger("ours").info("no")
    logging.getLogger("theirs").info("no")
    assert quiet.getvalue() == ""


def test_text_is_for_people_and_one_configuration_replaces_another(configured: Configure) -> None:
    first = configured()
    second = configured(format="text")
    structlog.get_logger("ours").info("stored", installation="i1")
    assert first.getvalue() == ""
    assert second.getvalue().count("\n") == 1
    assert "stored" in second.getvalue()
    assert "installation=i1" in second.getvalue()
    assert "\x1b" not in second.getvalue()


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_gets_through_however_it_is_logged(configured: Configure, form: str) -> None:
    stream = configured(level="debug", format=form)
    log = structlog.get_logger("ours")
    log.info("a", client_secret=CANARY, Authorization=f"Bearer {CANARY}", private_key=PEM)
    log.info("b", body={"deep": [{"client_secret": CANARY, "access_token": CANARY}]})
    log.info("c", secret=SecretStr(CANARY), nested={"x": SecretStr(CANARY)})
    log.info("got %s and %s", TOKEN, PEM)
    log.info("d", text=f"client_secret={CANARY}&x=1", other=json.dumps({"client_secret": CANARY}))
    log.info("e", url=f"http://user:{CANARY}@proxy:3128/", headers={"X-Auth-Token": CANARY})
    log.info("f", error=ValueError(f"Bearer {CANARY}"), deep={"x": ValueError(f"Bearer {CANARY}")})
    log.info("g", twice=json.dumps({"body": json.dumps({"client_secret": CANARY})}))
    logging.getLogger("theirs").info("token %s", TOKEN, extra={"password": CANARY})
    logging.getLogger("theirs").info({"client_secret": CANARY})

    def fail(secret_in_a_local: str) -> None:
        raise ValueError(f"refused: {TOKEN}" + secret_in_a_local[:0])

    try:
        fail(CANARY)
    except ValueError:
        log.exception("h")
        logging.getLogger("theirs").exception("i")
    text = stream.getvalue()
    assert CANARY not in text
    assert TOKEN not in text
    assert "c2lnbmF0dXJlLWNhbmFyeQ" not in text
    assert "in fail" in text
    assert text.count(MASK) >= 12


@pytest.mark.parametrize(
    "name",
    [
        "client_secret",
        "clientSecret",
        "Authorization",
        "private_key",
        "token",
        "id_token",
        "Set-Cookie",
        "password",
    ],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["key_id", "token_url", "namespace", "secret_name", "event", "tokens_left"])
def test_names_that_only_resemble_them_are_left_alone(name: str) -> None:
    assert not is_secret_name(name)


def test_what_is_no_secret_is_left_as_it_is() -> None:
    value = {
        "event": "stored TalkdeskInstallation talkdesk-system/abc at https://api.eu.talkdesk.localhost:8443/x?y=z",
        "seconds": 0.25,
        "none": None,
        "list": ["a", 1],
        "token": None,
    }
    assert redact(value) == value
    assert redact_text("Basic auth is off, Bearer tokens are on") == "Basic auth is off, Bearer tokens are on"
