"""The gateway's cookies among others."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkdesk_gateway.cookies import ours, removed, set_cookie, without_ours


def test_ours_are_told_from_the_tenants() -> None:
    headers = ["theme=dark; __Host-td-session=abc; __Host-app=1", "__Host-td-use=def"]
    assert ours(headers) == {"__Host-td-session": "abc", "__Host-td-use": "def"}
    assert without_ours(headers) == "theme=dark; __Host-app=1"


def test_where_nothing_is_left_there_is_no_header() -> None:
    assert without_ours(["__Host-td-session=abc"]) is None
    assert without_ours([]) is None


def test_of_a_name_that_comes_twice_the_first_counts() -> None:
    assert ours(["__Host-td-use=1; __Host-td-use=2"]) == {"__Host-td-use": "1"}


def test_our_names_in_another_case_are_not_read_and_do_not_reach_the_tenant() -> None:
    header = ["__host-td-session=abc; __HOST-TD-use=1"]
    assert ours(header) == {}
    assert without_ours(header) is None


@pytest.mark.parametrize("blank", ["\u2000", "\u00a0", "\u0085", "\u3000", "\x1c", "\x0b"])
def test_a_cookie_that_browsers_do_not_guard_is_not_ours_and_does_not_reach_the_tenant(blank: str) -> None:
    # With such a blank before it a name has no prefix to browsers: a sibling may set it for all of a domain.
    planted = f"{blank}__Host-td-session=EVIL"
    assert ours([f"{planted}; __Host-td-session=good"]) == {"__Host-td-session": "good"}
    assert ours([planted]) == {}
    assert without_ours([f"a=1;\t{planted}"]) == "a=1"


@pytest.mark.parametrize("cookies", ["tab=новых; x=1", "x=1; tab=новых", "a=пр\u00a0", "tab=\u0085\u0085"])
def test_bytes_that_are_blanks_of_unicode_stay_in_the_tenants_cookies(cookies: str) -> None:
    # A header's bytes are read one by one, and the last of a letter may be a blank by itself.
    header = cookies.encode().decode("latin-1")
    assert without_ours([header]) == header


def test_a_cookie_is_for_this_host_alone_and_out_of_scripts_reach() -> None:
    cookie = set_cookie("__Host-td-use", "v", timedelta(hours=1))
    assert cookie == "__Host-td-use=v; Max-Age=3600; Path=/; Secure; HttpOnly; SameSite=Lax"
    assert removed("__Host-td-use") == "__Host-td-use=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax"


@given(st.lists(st.text(max_size=40), max_size=4))
def test_any_header_can_be_read(headers: list[str]) -> None:
    assert all(name.startswith("__Host-td-") for name in ours(headers))
    left = without_ours(headers)
    assert left is None or "__host-td-session" not in left.lower()


@given(st.lists(st.sampled_from(["a=1", "b=x; c=2", "__Host-td-login-1=2", " ; ", "flag"]), max_size=6))
def test_the_tenants_own_cookies_arrive_as_they_came(headers: list[str]) -> None:
    pairs = [pair.strip() for header in headers for pair in header.split(";") if pair.strip()]
    assert without_ours(headers) == ("; ".join(pair for pair in pairs if "td-" not in pair) or None)
