"""The small form of a licensed user says what the kind's own model says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from talkdesk_crds.user_slice import LicensedUser
from talkdesk_operator.entries import Entry, decode, encode, entry_of

texts = st.none() | st.text(max_size=8)
users = st.builds(
    LicensedUser,
    email=texts,
    name=texts,
    active=st.booleans(),
    role=st.text(min_size=1, max_size=8),
    admin=st.booleans(),
    epoch=st.text(min_size=1, max_size=8),
)


@given(users)
def test_a_user_is_stored_as_the_model_would_store_it(user: LicensedUser) -> None:
    assert entry_of(user).to_json() == user.to_json()


@given(st.dictionaries(st.text(min_size=1, max_size=8), users.map(entry_of), max_size=5))
def test_packed_users_come_back_and_the_same_users_have_the_same_bytes(everyone: dict[str, Entry]) -> None:
    assert decode(encode(everyone)) == everyone
    assert encode(dict(reversed(everyone.items()))) == encode(everyone)
