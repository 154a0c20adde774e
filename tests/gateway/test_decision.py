"""The decision over HTTP, as Envoy asks for it: real watches, real cookies, a real server."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import aiohttp
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from yarl import URL

from talkdesk_crds import names
from talkdesk_gateway import jwks
from talkdesk_gateway.answers import Answer
from talkdesk_gateway.asking import written
from talkdesk_kube.resources import SECRETS, SERVICES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ALL = {
    "x-td-upstream",
    "x-td-installation",
    "x-td-account",
    "x-td-user",
    "x-td-name",
    "x-td-email",
    "x-td-role",
    "x-td-plan",
    "x-td-identity",
}


class Asking:
    """Asks as Envoy does."""

    def __init__(self, it: Any, http: aiohttp.ClientSession) -> None:
        self.it, self.http = it, http

    async def __call__(
        self, path: str = "/", *, method: str = "GET", cookie: str | None = "", **headers: str
    ) -> tuple[int, Any, str]:
        sent = {"Host": self.it.host} | {name.replace("_", "-"): value for name, value in headers.items()}
        if cookie is not None:
            sent["Cookie"] = cookie or self.it.cookie()
        url = URL(f"http://127.0.0.1:{self.it.decision.port}/decide{path}", encoded=True)
        async with self.http.request(method, url, headers=sent, allow_redirects=False) as answer:
            return answer.status, answer.headers, await answer.text()


@pytest.fixture
def asking(edge: Any) -> Any:
    @asynccontextmanager
    async def make(**arranged: Any) -> AsyncIterator[Asking]:
        jar = aiohttp.DummyCookieJar()
        async with (
            edge(serve=True, **arranged) as it,
            aiohttp.ClientSession(cookie_jar=jar, max_field_size=100_000) as http,
        ):
            yield Asking(it, http)

    return make


async def test_whoever_passes_is_told_to_the_tenant_in_every_header(asking: Any) -> None:
    async with asking() as ask:
        status, headers, _ = await ask("/reports?year=2026")
        assert status == 200
        assert {name.lower() for name in headers} >= ALL
        assert headers["x-td-upstream"] == "10.0.0.7:8080"
        assert (headers["x-td-installation"], headers["x-td-account"]) == ("i1", "account-i1")
        assert (headers["x-td-user"], headers["x-td-email"]) == ("u1", "u1@example.com")
        assert (headers["x-td-name"], headers["x-td-role"]) == ("User%20u1", "user")
        assert headers["x-td-plan"] == "Gold"


async def test_envoy_is_told_about_the_bar_where_a_page_is_asked_for_and_nowhere_else(asking: Any) -> None:
    bar = {"script": "https://bar.talkdesk.example/bar.js"}
    async with asking() as without, asking(bar=bar) as ask:
        _, headers, _ = await without(Sec_Fetch_Dest="document")
        assert headers["x-td-bar"] == "0"
        assert "x-td-bar-csp" not in headers
        for method in ("GET", "POST"):
            _, headers, _ = await ask(method=method, Sec_Fetch_Dest="document")
            assert headers["x-td-bar"] == "1"
            assert "https://bar.talkdesk.example/bar.js" in headers["x-td-bar-csp"]
        for other in ({}, {"Sec_Fetch_Dest": "empty"}, {"Sec_Fetch_Dest": "iframe"}):
            status, headers, _ = await ask(**other)
            assert status == 200
            assert not {"x-td-bar", "x-td-bar-csp"} & {name.lower() for name in headers}


async def test_what_is_not_known_is_an_empty_header_and_never_a_missing_one(asking: Any) -> None:
    async with asking() as ask:
        bare = ask.it.objects.user_slice()
        bare["spec"]["users"] = {"u1": {"epoch": "e1"}}
        written = await ask.it.server.put(bare)
        version = written["metadata"]["resourceVersion"]
        await ask.it.server.put(ask.it.objects.installation(users=(1, version), plan=None))
        await ask.it.caught_up()
        status, headers, _ = await ask(
            x_td_name="Mallory", x_td_email="m@example.com", x_td_plan="Platinum", x_td_role="admin"
        )
        assert status == 200
        assert [headers[f"x-td-{one}"] for one in ("name", "email", "plan", "role")] == ["", "", "", "user"]


@pytest.mark.parametrize(
    "name",
    ["Zoë Ångström", "王小明", "a\r\nx-td-role: admin", "100%", "\x00\x7f", "x" * 512, "\U0001f600" * 500],
)
async def test_no_name_can_break_a_header(asking: Any, name: str) -> None:
    async with asking() as ask:
        made = ask.it.objects.user_slice(users={"u1": "e1"})
        made["spec"]["users"]["u1"]["name"] = name
        await ask.it.server.put(made)
        await ask.it.caught_up()
        status, headers, _ = await ask()
        assert status == 200
        assert headers["x-td-name"].isascii()
        assert headers["x-td-name"].isprintable()
        assert unquote(headers["x-td-name"]) == name[:128]
        assert headers.getall("x-td-role") == ["user"]


async def test_the_identity_token_is_checked_with_the_published_keys(asking: Any) -> None:
    async with asking() as ask:
        _, headers, _ = await ask()
        published = jwks.key_set(ask.it.keys.identity_keys())
        token = jwt.decode(headers["x-td-identity"], KeySet.import_key_set(published), algorithms=["ES256"])
        assert token.header == {"alg": "ES256", "kid": "k1", "typ": "JWT"}
        signed = int(ask.it.now.timestamp())
        assert token.claims == {
            "iss": f"https://{ask.it.host}",
            "aud": "i1",
            "sub": "u1",
            "name": "User u1",
            "email": "u1@example.com",
            "role": "user",
            "plan": "Gold",
            "account": "account-i1",
            # An app whose clock is behind ours must not take it for one from the future.
            "iat": signed - 30,
            "exp": signed + 120,
        }
        jwt.JWTClaimsRegistry(now=lambda: signed - 30).validate(token.claims)
        assert set(published["keys"][0]) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


async def test_a_token_is_given_out_again_for_half_a_minute_unless_what_it_says_changes(asking: Any) -> None:
    async with asking() as ask:
        first = (await ask())[1]["x-td-identity"]
        assert (await ask())[1]["x-td-identity"] == first
        ask.it.now += timedelta(seconds=31)
        later = (await ask())[1]["x-td-identity"]
        assert later != first
        made = ask.it.objects.user_slice(users={"u1": "e1"})
        made["spec"]["users"]["u1"]["role"] = "admin"
        await ask.it.server.put(made)
        await ask.it.caught_up()
        assert (await ask())[1]["x-td-identity"] != later


async def test_our_cookies_do_not_go_to_the_tenant_and_the_others_do(asking: Any) -> None:
    async with asking() as ask:
        status, headers, _ = await ask(cookie=f"theme=dark; {ask.it.cookie()}; lang=en; __host-TD-x=1")
        assert (status, headers["cookie"]) == (200, "theme=dark; lang=en")
        status, headers, _ = await ask()
        assert (status, headers.get("cookie")) == (200, None)
        assert headers["x-envoy-auth-headers-to-remove"] == "cookie"


async def test_the_use_cookie_is_renewed_now_and_then_for_every_kind_of_request(asking: Any) -> None:
    async with asking() as ask:
        assert "set-cookie" not in (await ask())[1]
        old = ask.it.cookie(
            ask.it.session(used=ask.it.now - timedelta(hours=1), began=ask.it.now - timedelta(hours=2))
        )
        for method in ("GET", "POST", "PUT"):
            _, headers, _ = await ask(method=method, cookie=old, origin=f"https://{ask.it.host}")
            assert headers["set-cookie"].startswith("__Host-td-use=")
            assert "__Host-td-session" not in headers["set-cookie"]


async def test_without_a_session_a_navigation_is_sent_to_sign_in_and_leads_back(asking: Any) -> None:
    async with asking() as ask:
        status, headers, _ = await ask("/a/b?c=d&e=%2Ff", cookie=None, sec_fetch_mode="navigate")
        assert status == 303
        assert headers["location"] == "/_td/start?to=/a/b%3Fc%3Dd%26e%3D%252Ff"
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example", "/_td/sign-out", "/" + "x" * 3000])
async def test_signing_in_leads_nowhere_else(asking: Any, path: str) -> None:
    async with asking() as ask:
        status, headers, _ = await ask(path, cookie=None, sec_fetch_mode="navigate")
        assert (status, headers["location"]) == (303, "/_td/start?to=/")


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"sec_fetch_mode": "cors"}),
        ("GET", {"accept": "*/*"}),
        ("POST", {"sec_fetch_mode": "cors", "sec_fetch_site": "same-origin"}),
    ],
)
async def test_without_a_session_anything_else_gets_401_and_where_to_sign_in(
    asking: Any, method: str, headers: dict[str, str]
) -> None:
    async with asking() as ask:
        status, answered, body = await ask(method=method, cookie=None, **headers)
        assert (status, answered["x-td-sign-in"]) == (401, "/_td/start")
        assert json.loads(body)["signIn"] == "/_td/start"


async def test_a_form_that_is_sent_after_the_session_ended_gets_a_page(asking: Any) -> None:
    async with asking() as ask:
        origin = f"https://{ask.it.host}"
        status, headers, body = await ask(
            method="POST", cookie=None, sec_fetch_mode="navigate", accept="text/html", origin=origin
        )
        assert (status, headers["x-td-sign-in"]) == (401, "/_td/start")
        assert "<html" in body


async def test_a_removed_user_a_signed_out_one_and_a_refused_installation_are_refused_next(
    asking: Any,
) -> None:
    async with asking() as ask:
        assert (await ask())[0] == 200
        await ask.it.users({"u1": "e2"})
        await ask.it.caught_up()
        assert (await ask(sec_fetch_mode="navigate"))[0] == 303, "signed out"
        await ask.it.users({"u2": "e1"})
        await ask.it.caught_up()
        status, headers, body = await ask(sec_fetch_mode="navigate")
        assert status == 403, "removed"
        assert "no licence" in body
        await ask.it.users({"u1": "e1"}, access="Refused")
        await ask.it.caught_up()
        status, headers, body = await ask()
        assert status == 403
        assert "trial has ended" in body
        assert "x-td-status" not in headers


async def test_the_removal_of_the_session_keys_signs_everybody_out(asking: Any) -> None:
    async with asking() as ask:
        cookie = ask.it.cookie()
        assert (await ask(cookie=cookie))[0] == 200
        await ask.it.server.delete(SECRETS, names.session_keys_name("td"))
        await ask.it.caught_up()
        status, headers, _ = await ask(cookie=cookie, sec_fetch_mode="navigate")
        assert (status, headers["x-td-status"]) == (403, "503"), "nobody can sign in without keys either"
        assert ask.it.readiness.ready() is not None
        await ask.it.make_keys()
        await ask.it.caught_up()
        assert (await ask(cookie=cookie))[0] == 200, "the same keys came back"


async def test_a_page_that_is_a_503_is_told_to_envoy_as_403(asking: Any) -> None:
    async with asking() as ask:
        await ask.it.server.delete(SERVICES, "web", namespace="td-i1")
        await ask.it.caught_up()
        status, headers, body = await ask(x_request_id="0d4e3c1a-0000-4000-8000-000000000001")
        assert (status, headers["x-td-status"]) == (403, "503")
        assert "0d4e3c1a-0000-4000-8000-000000000001" in body
        assert headers["content-type"].startswith("text/html")


async def test_silence_of_kubernetes_is_borne_for_the_stated_time_and_then_refused_with_a_page(
    asking: Any,
) -> None:
    async with asking() as ask:
        ask.it.silence += 299
        assert (await ask())[0] == 200
        assert ask.it.readiness.ready() is None
        ask.it.silence += 10**6
        status, headers, body = await ask()
        assert (status, headers["x-td-status"]) == (403, "503")
        assert "<html" in body
        assert "no word from Kubernetes" in (ask.it.readiness.ready() or "")
        assert ask.it.readiness.healthy() is None


@pytest.mark.parametrize(
    "host", ["elsewhere.example.com", "", "10.0.0.7", "I1.apps.example.com.evil.example"]
)
async def test_a_host_that_is_no_tenant_gets_a_page(asking: Any, host: str) -> None:
    async with asking() as ask:
        status, _, body = await ask(host=host)
        assert status == 404
        assert "<html" in body


async def test_a_host_in_any_spelling_and_with_a_port_is_the_tenants(asking: Any) -> None:
    async with asking() as ask:
        assert (await ask(host="I1.APPS.example.com:8443"))[0] == 200


async def test_a_foreign_cookie_and_a_forged_one_are_no_session(asking: Any) -> None:
    async with asking() as ask:
        foreign = ask.it.cookie(ask.it.session(host="i2.apps.example.com"))
        forged = ask.it.cookie()[:-4] + "AAAA"
        forged = "; ".join(part[:-4] + "AAAA" for part in forged.split("; "))
        for cookie in (foreign, forged, "__Host-td-session=", "__Host-td-session=x.y.z"):
            assert (await ask(cookie=cookie, sec_fetch_mode="navigate"))[0] == 303


async def test_a_cookie_of_another_tenant_opens_nothing_here(asking: Any) -> None:
    async with asking() as ask:
        made = ask.it.objects.installation("i2", users=(1, "12"))
        await ask.it.server.put(ask.it.objects.user_slice("i2", {"u1": "e1"}))
        await ask.it.server.put(made)
        await ask.it.server.put(ask.it.objects.service("td-i2", address="10.0.0.8"))
        await ask.it.caught_up()
        status, _, _ = await ask(host="i2.apps.example.com", sec_fetch_mode="navigate")
        assert status == 303


async def test_headers_as_long_as_envoy_lets_in_are_read(asking: Any) -> None:
    async with asking() as ask:
        status, headers, _ = await ask(cookie=f"big={'x' * 50_000}; {ask.it.cookie()}")
        assert (status, len(headers["cookie"])) == (200, 50_004)


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET /decide/ HTTP/1.1\r\nhost: i1\r\nhost i2\r\n\r\n",
        b"POST /decide/ HTTP/1.1\r\nhost: i1\r\ncontent-length: 5\r\n\r\nhello",
        b"POST /decide/ HTTP/1.1\r\nhost: i1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /decide/ HTTP/1.1\r\nhost: i1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        b"GET /decide/ HTTP/1.1\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_question_is_answered_400_and_never_with_a_pass(asking: Any, raw: bytes) -> None:
    async with asking() as ask:
        reader, writer = await asyncio.open_connection("127.0.0.1", ask.it.decision.port)
        writer.write(raw)
        answered = await asyncio.wait_for(reader.read(), 5)
        assert answered.startswith(b"HTTP/1.1 400 ")
        assert b"x-td-upstream" not in answered
        writer.close()
        await writer.wait_closed()


async def test_a_question_may_arrive_in_pieces_and_many_on_one_connection(asking: Any) -> None:
    async with asking() as ask:
        reader, writer = await asyncio.open_connection("127.0.0.1", ask.it.decision.port)
        question = (
            f"HEAD /decide/ HTTP/1.1\r\nhost: {ask.it.host}\r\ncookie: {ask.it.cookie()}\r\n\r\n".encode()
        )
        for start in range(0, len(question), 7):
            writer.write(question[start : start + 7])
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(question * 3)
        for _ in range(4):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"connection: close" not in head
        ask.it.decision.draining = True
        writer.write(question)
        rest = await asyncio.wait_for(reader.read(), 5)
        assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"connection: close" in rest
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("value", ["a\r\nx-td-user: root", "a\nb", "a\rb", "a\0b"])
def test_no_answer_is_written_with_a_line_break_in_a_header(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        written(Answer(200, {"x-td-name": value}))


async def test_every_decision_is_counted_by_what_became_of_it(asking: Any) -> None:
    async with asking() as ask:
        await ask()
        await ask(cookie=None)
        await ask(method="POST", origin="https://evil.example")
        count = ask.it.metrics.registry.get_sample_value
        for outcome in ("passed", "sign-in", "cross-site"):
            assert count("talkdesk_gateway_decisions_total", {"outcome": outcome}) == 1


async def test_only_decisions_are_served(asking: Any) -> None:
    async with asking() as ask:
        url = f"http://127.0.0.1:{ask.it.decision.port}/metrics"
        async with ask.http.get(url, headers={"Cookie": ask.it.cookie(), "Host": ask.it.host}) as answer:
            assert answer.status == 404


async def test_a_host_that_nobody_lives_at_names_the_contact_of_the_app_that_it_is_below(asking: Any) -> None:
    async with asking(contact="help@example.com") as ask:
        for host, named in (("nobody.apps.example.com", True), ("nobody.example.com", False)):
            status, _, page = await ask(Host=host, Accept="text/html")
            assert (status, "help@example.com" in page) == (404, named), host
