"""The gateway's keys: what is watched of two Secrets, and what a key set shows of them."""

from __future__ import annotations

import json
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from talkdesk_crds import names
from talkdesk_gateway import jwks
from talkdesk_kube.resources import SECRETS

SESSION = names.session_keys_name("td")
IDENTITY = names.identity_keys_name("td")


async def test_both_rings_are_read_and_each_from_its_own_secret(edge: Any) -> None:
    async with edge() as it:
        session, identity = it.keys.session_keys(), it.keys.identity_keys()
        assert json.loads(session[0].jwk.get_secret_value())["kty"] == "oct"
        assert json.loads(identity[0].jwk.get_secret_value())["kty"] == "EC"
        assert it.readiness.ready() is None


async def test_a_secret_that_cannot_be_read_is_no_keys_and_shows_nothing_of_itself(edge: Any) -> None:
    async with edge() as it:
        broken = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SESSION, "namespace": "td"},
            "data": {"keys.json": "Y2FuYXJ5LTEyMzQ1"},
        }
        with capture_logs() as logs:
            await it.server.put(broken)
            await it.caught_up()
        assert it.keys.session_keys() == ()
        assert it.readiness.ready() == "the keys are missing: the operator makes them"
        assert SESSION in str(logs)
        assert "canary" not in str(logs)
        assert "Y2FuYXJ5" not in str(logs)


async def test_what_is_kept_of_a_secret_shows_no_key_when_it_is_printed(edge: Any) -> None:
    async with edge() as it:
        for reflector, jwk in zip(
            it.keys.reflectors, (it.session_key["k"], it.identity_key["d"]), strict=True
        ):
            assert jwk not in repr(dict(reflector.store))


async def test_the_key_set_is_served_and_is_an_error_while_it_is_not_known(edge: Any) -> None:
    async with edge() as it, TestClient(TestServer(jwks.application(it.keys))) as client:
        answer = await client.get("/jwks.json")
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "public, max-age=60"
        (key,) = (await answer.json())["keys"]
        assert key == {
            "kty": "EC",
            "crv": "P-256",
            "x": it.identity_key["x"],
            "y": it.identity_key["y"],
            "kid": "k1",
            "use": "sig",
            "alg": "ES256",
        }
        await it.server.delete(SECRETS, IDENTITY)
        await it.caught_up()
        assert (await client.get("/jwks.json")).status == 503
