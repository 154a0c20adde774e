"""Which paths a sign-in may lead to."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkdesk_gateway.to import MAX_LENGTH, is_ours, safe_to

ORIGIN = "https://tenant.example.com"


@pytest.mark.parametrize(
    ("to", "path"),
    [
        ("/", "/"),
        ("/reports?week=2&team=a%20b#top", "/reports?week=2&team=a%20b#top"),
        ("/a b", "/a%20b"),
        ("/é", "/%C3%A9"),
        ("/%2f/evil.example", "/%2f/evil.example"),
        ("/@evil.example", "/@evil.example"),
        ("/next?to=https://other.example/", "/next?to=https://other.example/"),
        ("/_tdx", "/_tdx"),
        ("/a/_td/start", "/a/_td/start"),
        ("/" + "x" * (MAX_LENGTH - 1), "/" + "x" * (MAX_LENGTH - 1)),
    ],
)
def test_paths_of_the_own_host_are_kept(to: str, path: str) -> None:
    assert safe_to(to) == path


@pytest.mark.parametrize(
    "to",
    [
        None,
        "",
        "reports",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/a\\b",
        "https://evil.example/",
        "javascript:alert(1)",
        "/\t/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/a\r\nSet-Cookie: x=1",
        "/a\x00",
        "/a\x7f",
        "/a\x85b",
        "/\ud800",
        "/_td",
        "/_td/start",
        "/_td/sign-out",
        "/_td?x",
        "/./_td/start",
        "/a/../_td/start",
        "/%5ftd/start",
        "/%2e/_td/",
        "/" + "x" * MAX_LENGTH,
        "/" + "é" * (MAX_LENGTH // 2),
    ],
)
def test_everything_else_leads_home(to: str | None) -> None:
    assert safe_to(to) == "/"


@given(st.text(alphabet=st.sampled_from("/\\:@?#.%\t\r\n ;&=aé2f5C\u2028\x85"), max_size=12).map("/".__add__))
def test_wherever_it_leads_it_is_the_tenants_host_for_any_reader(to: str) -> None:
    path = safe_to(to)
    assert path.startswith("/")
    assert path.isascii()
    assert not any(character.isspace() or ord(character) < 0x20 for character in path)
    for target in (ORIGIN + path, urljoin(ORIGIN + "/_td/enter", path)):
        assert urlsplit(target).hostname == "tenant.example.com"
        assert httpx.URL(target).host == "tenant.example.com"
    assert safe_to(path) == path
    assert not is_ours(path)
