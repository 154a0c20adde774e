"""The kinds as models: what goes in comes out, and what the wire does not know is not read from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.installation import FromTalkdesk, Installed, TalkdeskInstallation, Uninstalled
from talkdesk_crds.meta import parse_time, stamp_time, time
from talkdesk_crds.revocation import TalkdeskRevocationSpec, revocation_name
from talkdesk_crds.schema.kinds import KINDS, Kind
from talkdesk_crds.template import template_json
from talkdesk_crds.user_slice import LicensedUser, TalkdeskUserSliceSpec

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def kind_of(model: type) -> Kind:
    return next(kind for kind in KINDS if kind.model is model)


@each_kind
def test_a_full_object_survives_the_round_trip_unchanged(kind: Kind, sample: Any) -> None:
    obj = sample(kind)
    written = kind.model.model_validate(obj).to_json()
    written["metadata"] = {key: value for key, value in written["metadata"].items() if value}
    assert written == obj


@each_kind
def test_a_written_object_reads_as_an_equal_model(kind: Kind, sample: Any) -> None:
    model = kind.model.model_validate(sample(kind))
    assert kind.model.model_validate(model.to_json()) == model


def test_nulls_inside_a_template_are_kept_for_the_kinds_they_belong_to(sample: Any) -> None:
    obj = sample(kind_of(TalkdeskApp))
    assert template_json(TalkdeskApp.model_validate(obj).spec.template) == obj["spec"]["template"]


def test_the_wire_knows_no_python_names() -> None:
    with pytest.raises(ValidationError, match="appId"):
        TalkdeskInstallation.model_validate(
            {"metadata": {"name": "a"}, "spec": {"app_id": "a", "account_id": "b", "installation_id": "c"}}
        )


def test_python_builds_with_python_names() -> None:
    spec = TalkdeskRevocationSpec(
        kind="Removed", app_id="a", account_id="b", installation_id="c", users=["u"], cause="e"
    )
    assert spec.to_json()["installationId"] == "c"


def test_null_is_absent_so_the_default_counts() -> None:
    assert LicensedUser.model_validate({"epoch": "e", "active": None, "email": None}) == LicensedUser(
        epoch="e"
    )


@pytest.mark.parametrize("wrong", [1, "true", "yes", 0])
def test_a_switch_takes_only_true_and_false(wrong: object) -> None:
    with pytest.raises(ValidationError):
        LicensedUser.model_validate({"epoch": "e", "active": wrong})


@pytest.mark.parametrize("wrong", ["1", True, 1.5, 0, 3, -2])
def test_a_bucket_number_is_an_integer_and_the_number_of_buckets_a_power_of_two(wrong: object) -> None:
    with pytest.raises(ValidationError):
        TalkdeskUserSliceSpec.model_validate({"installation": "a", "buckets": wrong, "bucket": 0})


def test_a_later_install_overtakes_the_uninstall_and_an_earlier_one_does_not() -> None:
    early, late = "2026-01-05T10:00:00.000000Z", "2026-01-06T10:00:00.000000Z"
    gone = Uninstalled(at=early, rank=90, event="e-1")
    assert FromTalkdesk(uninstalled=gone).is_uninstalled
    assert not FromTalkdesk(
        installed=Installed(at=late, rank=10, event="e-2"), uninstalled=gone
    ).is_uninstalled
    assert FromTalkdesk(installed=Installed(at=early, rank=10, event="e-2"), uninstalled=gone).is_uninstalled
    assert FromTalkdesk(installed=Installed(rank=10, event="e-2"), uninstalled=gone).is_uninstalled


def test_times_have_a_fixed_width_and_sort_as_text() -> None:
    moments = [
        datetime(5, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 5, 10, tzinfo=UTC),
        datetime(2026, 1, 5, 9, 0, 0, 1, tzinfo=timezone(timedelta(hours=-2))),
    ]
    stamps = [stamp_time(moment) for moment in moments]
    assert {len(stamp) for stamp in stamps} == {27}
    assert stamps == sorted(stamps)
    assert [parse_time(stamp) for stamp in stamps] == moments
    assert time(moments[1]) == "2026-01-05T10:00:00Z"


def test_a_revocation_is_named_by_its_content_and_cause_whatever_the_order_of_users() -> None:
    base = {"kind": "Removed", "app_id": "a", "account_id": "b", "installation_id": "c", "cause": "e"}
    name = revocation_name(TalkdeskRevocationSpec(**base, users=["u", "v"]))
    assert name == revocation_name(TalkdeskRevocationSpec(**base, users=["v", "u"]))
    others = [base | change for change in ({"kind": "SignedOut"}, {"cause": "f"}, {"installation_id": "d"})]
    assert name not in {
        revocation_name(TalkdeskRevocationSpec(**other, users=["u", "v"])) for other in others
    }
    assert name != revocation_name(TalkdeskRevocationSpec(**base, users=["u", "v"], part=1))
