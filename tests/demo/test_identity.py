"""The examples of docs/identity.md: what they accept and, above all, what they do not."""

from __future__ import annotations

import base64
import inspect
import json
import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession, web
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OctKey

import talkdesk_sandbox.demo.identity as demo
from talkdesk_sandbox.demo.identity import Keys, claims_of
from talkdesk_sandbox.demo.user import KeysUnavailable, NotSignedIn, User

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (Path(__file__).parents[2] / "docs" / "identity.md").read_text()
TENANT, INSTALLATION = "https://t1.demo.localhost", "inst-1"

Claims = dict[str, Any]


def key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})


KEY, STRANGERS = key("k1"), key("k1")
KEYS = KeySet([key("k0"), KEY])


def block(language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    return str(text)


def claims(**other: Any) -> Claims:
    now = int(time.time())
    usual = {"iss": TENANT, "aud": INSTALLATION, "sub": "u1", "name": "Zoë", "iat": now, "exp": now + 120}
    return {name: value for name, value in (usual | other).items() if value is not None}


def token(signer: Any = KEY, *, kid: str = "k1", alg: str = "ES256", **other: Any) -> str:
    return jwt.encode({"alg": alg, "kid": kid, "typ": "JWT"}, claims(**other), signer, algorithms=[alg])


def unsigned() -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"k1"}').decode().rstrip("=")
    return f"{head}.{token().split('.')[1]}."


def with_the_public_key_as_a_secret() -> str:
    public = json.dumps(KEY.as_dict(private=False)).encode()
    return token(OctKey.import_key(public), alg="HS256")


def altered() -> str:
    head, body, signature = token().split(".")
    return f"{head}.{body[:-2]}AA.{signature}"


BAD = {
    "another tenant's": token(iss="https://t2.demo.localhost"),
    "without an issuer": token(iss=None),
    "another installation's": token(aud="inst-2"),
    "for nobody": token(aud=None),
    "expired": token(exp=int(time.time()) - 1),
    "without an end": token(exp=None),
    "of nobody": token(sub=None),
    "signed by a stranger": token(STRANGERS),
    "of an unknown key": token(key("k9"), kid="k9"),
    "not signed": unsigned(),
    "signed with the public key": with_the_public_key_as_a_secret(),
    "altered": altered(),
}


def test_the_python_example_is_the_code_of_the_demo() -> None:
    example = block("python")
    assert inspect.getsource(claims_of) in example + "\n"
    imports = [line for line in example.splitlines() if line.startswith("from ")]
    assert imports
    source = inspect.getsource(demo)
    assert all(line in source for line in imports)


def test_a_good_token_says_who_asks() -> None:
    found = claims_of(token(), KEYS, tenant=TENANT, installation=INSTALLATION)
    assert (found["sub"], found["name"]) == ("u1", "Zoë")


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_token_that_is_not_good_here_is_refused(bad: str) -> None:
    with pytest.raises((JoseError, ValueError)):
        claims_of(bad, KEYS, tenant=TENANT, installation=INSTALLATION)


@pytest.mark.processes
def test_the_node_example_accepts_and_refuses_the_same(tmp_path: Path) -> None:
    import playwright  # noqa: PLC0415 - its wheel brings a Node

    (tmp_path / "claims.mjs").write_text(block("js"))
    (tmp_path / "run.mjs").write_text(
        """import { claimsOf } from "./claims.mjs";
import { readFileSync } from "node:fs";
const { tokens, keys, here } = JSON.parse(readFileSync(0, "utf8"));
const answer = (token) => { try { return claimsOf(token, keys, here).sub; } catch { return null; } };
console.log(JSON.stringify(tokens.map(answer)));
"""
    )
    node = Path(inspect.getfile(playwright)).parent / "driver" / "node"
    given = {
        "tokens": [token(), *BAD.values(), "", "x", "a.b.c"],
        "keys": KEYS.as_dict(private=False),
        "here": {"tenant": TENANT, "installation": INSTALLATION},
    }
    done = subprocess.run(
        [node, tmp_path / "run.mjs"], input=json.dumps(given), capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == ["u1"] + [None] * (len(BAD) + 3)


class KeyServer:
    """Serves a key set that can be exchanged; counts how often it was asked."""

    def __init__(self) -> None:
        self.keys: KeySet | None = KEYS
        self.asked = 0

    async def get(self, _request: web.Request) -> web.Response:
        self.asked += 1
        if self.keys is None:
            return web.json_response({}, status=503)
        return web.json_response(self.keys.as_dict(private=False))


@pytest.fixture
async def server() -> Any:
    served = KeyServer()
    app = web.Application()
    app.router.add_get("/jwks.json", served.get)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks.json"
    async with ClientSession() as http:
        yield served, lambda clock: Keys(url, http, clock)
    await runner.cleanup()


async def checked(keys: Keys, text: str) -> Claims:
    return await keys.claims(text, tenant=TENANT, installation=INSTALLATION)


async def test_keys_are_kept_for_minutes_and_read_again_for_a_new_one(
    server: tuple[KeyServer, Callable[..., Keys]],
) -> None:
    served, make = server
    now = [0.0]
    keys = make(lambda: now[0])
    for _ in range(3):
        assert (await checked(keys, token()))["sub"] == "u1"
    assert served.asked == 1

    new = key("k2")
    served.keys = KeySet([KEY, new])
    now[0] = 60.0
    assert (await checked(keys, token(new, kid="k2")))["sub"] == "u1"
    assert served.asked == 2
    for _ in range(3):  # strangers cannot turn it against the gateway
        with pytest.raises(NotSignedIn):
            await checked(keys, BAD["of an unknown key"])
    assert served.asked == 2

    served.keys = KeySet([new])
    now[0] = 400.0
    with pytest.raises(NotSignedIn):
        await checked(keys, token())
    assert served.asked == 3


async def test_known_keys_stay_when_the_gateway_is_away_and_none_is_not_a_refusal(
    server: tuple[KeyServer, Callable[..., Keys]],
) -> None:
    served, make = server
    now = [0.0]
    keys = make(lambda: now[0])
    served.keys = None
    with pytest.raises(KeysUnavailable):
        await checked(keys, token())
    served.keys = KEYS
    assert (await checked(keys, token()))["sub"] == "u1"
    served.keys = None
    now[0] = 1000.0
    assert (await checked(keys, token()))["sub"] == "u1"


def test_a_user_is_greeted_by_name_or_by_what_is_known() -> None:
    assert User.of({"sub": "u1", "name": "Ada King Lovelace"}).first_name == "Ada"
    assert User.of({"sub": "u1", "name": "Ada King Lovelace"}).initials == "AL"
    assert User.of({"sub": "u1", "name": "Ada"}).initials == "A"
    assert User.of({"sub": "u1", "email": "ada@acme.example"}).first_name == "ada@acme.example"
    assert User.of({"sub": "u1", "name": "  "}).name == "u1"
