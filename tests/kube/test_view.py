"""What a view and its models keep of objects that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from talkdesk_crds.revocation import TalkdeskRevocation
from talkdesk_kube import Reflector
from talkdesk_kube.resources import REVOCATIONS, Obj
from talkdesk_kube.view import Typed, View

if TYPE_CHECKING:
    from talkdesk_kube import Kube

KEY = ("td", "r")


def revocation(version: int = 1, *, uid: str = "u1", installation: str = "i") -> Obj:
    return {
        "metadata": {"name": "r", "namespace": "td", "uid": uid, "resourceVersion": str(version)},
        "spec": {
            "appId": "a",
            "accountId": "c",
            "installationId": installation,
            "kind": "Removed",
            "users": ["u"],
            "cause": "event",
        },
    }


def by_installation(obj: Obj) -> tuple[str]:
    return (obj["spec"]["installationId"],)


class Watched:
    """A view and its models, and what the watch shows them."""

    def __init__(self) -> None:
        self.reflector = Reflector(cast("Kube", None), REVOCATIONS, namespace="td")
        self.view = View(self.reflector, index=by_installation)
        self.typed = Typed(self.view, TalkdeskRevocation)

    def shows(self, obj: Obj) -> None:
        self.reflector._put(KEY, obj)
        self.reflector._resource_version = obj["metadata"]["resourceVersion"]

    def shows_deletion(self, version: int) -> None:
        self.reflector._remove(KEY)
        self.reflector._resource_version = str(version)

    @property
    def kept(self) -> dict[str, Any]:
        view = self.view
        kept = {"parsed": self.typed._parsed, "ours": view._ours, "deleted": view._deleted}
        return {name: held for name, held in (kept | {"indexed": view._indexed}).items() if held}


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_nothing_is_kept_of_an_object_that_was_found_by_its_index_and_is_gone(watched: Watched) -> None:
    watched.shows(revocation())
    assert len(watched.typed.by("i")) == 1
    watched.shows_deletion(2)
    assert watched.kept == {}


def test_nothing_is_kept_of_an_object_that_was_listed_and_is_gone(watched: Watched) -> None:
    watched.shows(revocation())
    assert len(watched.typed.all()) == 1
    watched.shows_deletion(2)
    assert watched.kept == {}


def test_an_object_that_was_made_anew_is_parsed_anew(watched: Watched) -> None:
    watched.shows(revocation())
    assert [one.spec.installation_id for one in watched.typed.by("i")] == ["i"]
    watched.shows(revocation(3, uid="u2", installation="j"))
    assert watched.typed.by("i") == []
    assert [one.spec.installation_id for one in watched.typed.by("j")] == ["j"]


def test_a_write_of_ours_to_what_somebody_deleted_is_not_kept(watched: Watched) -> None:
    watched.shows(revocation())
    watched.view.remember(revocation(5))
    assert len(watched.typed.by("i")) == 1
    watched.shows_deletion(6)
    assert watched.kept == {}
    assert watched.typed.get(*KEY) is None


def test_a_deletion_that_the_watch_shows_late_does_not_hide_what_we_made_since(watched: Watched) -> None:
    watched.shows(revocation())
    watched.view.remember(revocation(5, uid="u2"))
    watched.shows_deletion(4)
    assert watched.typed.get(*KEY) is not None


def test_what_we_deleted_is_gone_at_once_and_forgotten_once_the_watch_shows_it(watched: Watched) -> None:
    watched.shows(revocation())
    watched.view.forget(revocation())
    assert watched.typed.by("i") == []
    watched.shows_deletion(2)
    assert watched.kept == {}


def test_nothing_is_kept_of_a_deletion_that_the_watch_showed_before_its_answer_came(watched: Watched) -> None:
    watched.shows(revocation())
    watched.shows_deletion(2)
    watched.view.forget(revocation())
    assert watched.kept == {}


def test_what_was_made_anew_before_the_answer_to_our_deletion_came_stays(watched: Watched) -> None:
    watched.shows(revocation())
    watched.shows_deletion(2)
    watched.shows(revocation(3, uid="u2"))
    watched.view.forget(revocation())
    assert watched.typed.get(*KEY) is not None
    assert watched.view._deleted == {}


def test_what_we_made_and_deleted_before_the_watch_showed_it_stays_gone(watched: Watched) -> None:
    watched.view.remember(revocation())
    watched.view.forget(revocation())
    watched.shows(revocation())
    assert watched.typed.get(*KEY) is None
    assert watched.typed.by("i") == []
    watched.shows_deletion(2)
    assert watched.kept == {}
