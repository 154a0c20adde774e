"""The token link has no settled name."""

from __future__ import annotations

import pytest

from talkdesk_client import token_url


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ({"tokens": "A", "token": "B", "token_url": "C"}, "A"),
        ({"token": "B", "token_url": "C", "authorization": "https://x/oauth/authorize"}, "B"),
        ({"token_url": "C"}, "C"),
        ({"tokens": "", "token": "B"}, "B"),
        (
            {"authorization": "https://acme.talkdeskid.eu/oauth/authorize"},
            "https://acme.talkdeskid.eu/oauth/token",
        ),
        (
            {"authorization": "https://h/authorize/oauth/authorize/?a=/authorize#b"},
            "https://h/authorize/oauth/token",
        ),
    ],
)
def test_the_likeliest_link_wins_and_the_authorization_link_is_the_last_resort(
    links: dict[str, str], expected: str
) -> None:
    assert token_url(links) == expected


@pytest.mark.parametrize("links", [{}, {"root": "https://x"}, {"authorization": "https://x/oauth/login"}])
def test_without_any_of_them_there_is_no_token_url(links: dict[str, str]) -> None:
    with pytest.raises(KeyError):
        token_url(links)
