"""A link is followed only to the app's own Talkdesk; to anywhere else nothing is sent at all."""

from __future__ import annotations

import string
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkdesk_client import ForeignHost, Hosts, UnusableInput
from talkdesk_client.hosts import gateway_url, under

HOSTS = Hosts(api="api.talkdeskapp.eu", identity="talkdeskid.eu")

FOREIGN_ROOTS = {
    "another host": "https://api.evil.example",
    "plain http": "http://api.talkdeskapp.eu",
    "another scheme": "ftp://api.talkdeskapp.eu",
    "no scheme": "api.talkdeskapp.eu",
    "scheme only": "https://",
    "empty": "",
    "user info": "https://user:password@api.talkdeskapp.eu",
    "empty user info": "https://@api.talkdeskapp.eu",
    "ours as user info": "https://api.talkdeskapp.eu@evil.example",
    "backslash": "https://evil.example\\@api.talkdeskapp.eu",
    "odd port": "https://api.talkdeskapp.eu:8443",
    "port of http": "https://api.talkdeskapp.eu:80",
    "no port number": "https://api.talkdeskapp.eu:https",
    "suffix of ours": "https://talkdeskapp.eu",
    "ours as a prefix": "https://api.talkdeskapp.eu.evil.example",
    "ours as an ending": "https://evil-api.talkdeskapp.eu",
    "below ours": "https://evil.api.talkdeskapp.eu",
    "trailing dot": "https://api.talkdeskapp.eu.",
    "identity host": "https://acme.talkdeskid.eu",
    "fragment": "https://api.talkdeskapp.eu/#x",
    "query": "https://api.talkdeskapp.eu/?x=",
    "line break": "https://api.talkdeskapp.eu/\nHost: evil.example",
    "blank": "https://api.talkdeskapp.eu /",
    "full-width letters": "https://\uff41pi.talkdeskapp.eu",
    "endless": "https://api.talkdeskapp.eu/" + "a" * 3000,
    "address": "https://127.0.0.1",
    "IPv6 address": "https://[::1]",
    "relative": "/apps",
}
FOREIGN_TOKEN_URLS = {
    "another host": "https://acme.evil.example/oauth/token",
    "the bare domain": "https://talkdeskid.eu/oauth/token",
    "glued on": "https://eviltalkdeskid.eu/oauth/token",
    "ours as a prefix": "https://acme.talkdeskid.eu.evil.example/oauth/token",
    "plain http": "http://acme.talkdeskid.eu/oauth/token",
    "user info": "https://a:b@acme.talkdeskid.eu/oauth/token",
    "odd port": "https://acme.talkdeskid.eu:444/oauth/token",
    "API host": "https://api.talkdeskapp.eu/oauth/token",
}


@pytest.mark.parametrize("root", FOREIGN_ROOTS.values(), ids=FOREIGN_ROOTS.keys())
def test_a_root_that_is_not_the_api_gateway_is_foreign(root: str) -> None:
    with pytest.raises(ForeignHost, match="nothing was sent"):
        HOSTS.root_url(root)


@pytest.mark.parametrize("link", FOREIGN_TOKEN_URLS.values(), ids=FOREIGN_TOKEN_URLS.keys())
def test_a_token_link_outside_the_identity_domain_is_foreign(link: str) -> None:
    with pytest.raises(ForeignHost, match="nothing was sent"):
        HOSTS.identity_url(link)


@pytest.mark.parametrize(
    "root",
    [
        "https://api.talkdeskapp.eu",
        "https://api.talkdeskapp.eu/",
        "https://api.talkdeskapp.eu:443",
        "https://API.Talkdeskapp.EU",
        "HTTPS://api.talkdeskapp.eu",
        "https://api.talkdeskapp.eu/v1/",
    ],
)
def test_the_api_gateway_itself_is_accepted_however_it_is_written(root: str) -> None:
    assert HOSTS.root_url(root).host == "api.talkdeskapp.eu"


def test_the_host_table_may_be_written_in_capitals() -> None:
    assert (
        Hosts(api="API.example", identity="ID.example").root_url("https://api.example").host == "api.example"
    )


@given(
    st.from_regex(r"[a-z0-9.@:\\/?#%-]{1,40}", fullmatch=True)
    | st.tuples(
        st.sampled_from(["", "evil.example", "api.talkdeskapp.eu", "x"]),
        st.sampled_from(["@", "\\", "/", "?", "#", ":", ".", "%2e", "%40", ";", "&"]),
        st.sampled_from(["", "evil.example", "api.talkdeskapp.eu", "443", "8443"]),
    ).map("".join)
)
def test_whatever_follows_the_scheme_only_the_gateway_is_ever_dialled(rest: str) -> None:
    try:
        url = HOSTS.api_url(f"https://{rest}")
    except ForeignHost:
        return
    assert httpx.Request("GET", url).url.raw_host == b"api.talkdeskapp.eu"
    assert url.port is None
    assert not url.userinfo


@given(st.text(alphabet=string.printable, max_size=60))
def test_any_text_at_all_is_either_the_gateway_or_foreign(link: str) -> None:
    shown = ""
    try:
        assert HOSTS.api_url(link).raw_host == b"api.talkdeskapp.eu"
    except ForeignHost as error:
        shown = str(error)
    assert "\n" not in shown


def test_the_error_names_the_host_but_neither_user_info_nor_path_nor_query() -> None:
    with pytest.raises(ForeignHost) as caught:
        HOSTS.root_url("https://user:hidden@evil.example/hidden?hidden#hidden")
    assert "evil.example" in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("part", ["root", "token_url"])
async def test_a_foreign_link_is_never_contacted(
    part: str, talkdesk: Any, connect: Any, ref_with: Any
) -> None:
    async with connect() as client:
        for link in FOREIGN_ROOTS.values():
            with pytest.raises(ForeignHost):
                await client.installation(ref_with(**{part: link}))
            with pytest.raises(ForeignHost):
                await client.answer(ref_with(**{part: link}), "approve")
            with pytest.raises(ForeignHost):
                await client.account(ref_with(**{part: link}))
    assert talkdesk.asked == []
    assert talkdesk.token_asked == []


@pytest.mark.parametrize("gateway", ["http://api.example", "https://u:p@api.example", "", "api.example"])
async def test_a_signature_key_is_asked_only_over_https(gateway: str, talkdesk: Any, connect: Any) -> None:
    async with connect() as client:
        with pytest.raises(ForeignHost):
            await client.signature_key(gateway, "key-1")
    assert talkdesk.asked == []


def test_a_configured_gateway_may_have_a_port_of_its_own() -> None:
    assert gateway_url("https://gateway.example:8443").port == 8443


@pytest.mark.parametrize("identifier", ["", ".", "..", "x" * 257, "\ud800"])
def test_an_id_that_cannot_be_a_path_segment_is_refused(identifier: str) -> None:
    with pytest.raises(UnusableInput):
        under(httpx.URL("https://api.example"), "apps", identifier)


@given(st.text(min_size=1, max_size=60).filter(lambda text: text not in (".", "..")))
def test_an_id_stays_one_segment_of_the_path_whatever_is_in_it(identifier: str) -> None:
    try:
        url = under(httpx.URL("https://api.example/v1/"), "apps", identifier, "users")
    except UnusableInput:
        return
    assert httpx.Request("GET", url).url.raw_path.count(b"/") == 4
    assert url.raw_path.startswith(b"/v1/apps/")
    assert url.raw_path.endswith(b"/users")
    assert not url.query
    assert url.path == f"/v1/apps/{identifier}/users"
