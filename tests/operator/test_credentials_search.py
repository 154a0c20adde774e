"""Finding an installation's credentials when no register names them."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from talkdesk_crds import names
from talkdesk_operator.credentials_search import found, newest_first, selector


def secret(name: str, **content: str) -> dict[str, Any]:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
    return {"metadata": {"name": name, "uid": f"uid-{name}", "labels": {"a": "b"}}, "data": data}


@given(st.permutations(range(5)))
def test_the_newest_set_is_found_first_whatever_the_order_of_the_list(order: list[int]) -> None:
    times = ["2026-01-05T10:00:00.000Z", "2026-01-05T10:00:01.000Z", "2026-02-01T00:00:00.000Z"]
    secrets = [secret(f"s{number}", created_at=time) for number, time in enumerate(times)]
    secrets += [secret("s3"), secret("s4")]
    shuffled = [secrets[number] for number in order]
    assert [one.name for one in newest_first(shuffled)] == ["s2", "s1", "s0", "s4", "s3"]


def test_a_secret_brings_the_links_of_its_event() -> None:
    links = {"root": "https://api.example", "tokens": "https://acme.id.example/oauth/token"}
    one = found(secret("s", links=json.dumps(links), created_at="2026-01-05T10:00:00.000Z"))
    assert one.links == links
    assert one.created_at == "2026-01-05T10:00:00.000Z"
    assert one.labels == {"a": "b"}


def test_what_is_unreadable_in_a_secret_counts_as_absent() -> None:
    broken = secret("s", links="no JSON")
    broken["data"]["created_at"] = "%%%"
    one = found(broken)
    assert one.links == {}
    assert one.created_at is None
    assert found(secret("t", links="[1]")).links == {}


def test_nothing_secret_shows_in_what_was_found() -> None:
    one = found(secret("s", private_key="hunter2"))
    assert base64.b64encode(b"hunter2").decode() not in repr(one)


def test_all_three_ids_are_matched_and_odd_ones_are_hashed() -> None:
    chosen = selector(app_id="app", account_id="an account", installation_id="i1")
    assert chosen.split(",") == [
        f"{names.APP_LABEL}=app",
        f"{names.ACCOUNT_LABEL}={names.label_value('an account')}",
        f"{names.INSTALLATION_LABEL}=i1",
    ]
    assert names.INSTALLATION_LABEL not in selector(app_id="app", account_id="acct")
