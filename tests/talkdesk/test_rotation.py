"""Rotation: both sets live for a week, acknowledging ends the old one, compromise ends it at once."""

from __future__ import annotations

from typing import Any


async def _rotated(desk: Any, partner: Any) -> Any:
    """The same installation with the newest credentials."""
    event = desk.receiver.events("app.credentials_rotated")[-1]
    merged = {**partner.event, "data": {**partner.data, **event["data"]}}
    return type(partner)(desk, merged)


async def _acknowledge(caller: Any, client_id: str) -> Any:
    return await caller.call(f"/credentials/{client_id}/state", body={"state": "acknowledged"})


async def test_after_a_routine_rotation_both_sets_work_for_seven_days(desk: Any) -> None:
    old = await desk.install(approved=True)
    await desk.ask(old, "rotate", {"compromise": False})
    new = await _rotated(desk, old)
    assert new.data["client_id"] != old.data["client_id"]
    await desk.advance(days=6, hours=23)
    assert (await old.ask()).status_code == (await new.ask()).status_code == 200
    await desk.advance(hours=1)
    assert ((await old.ask()).status_code, (await new.ask()).status_code) == (401, 200)


async def test_acknowledging_with_the_new_credentials_ends_the_old_ones(desk: Any) -> None:
    old = await desk.install(approved=True)
    await desk.ask(old, "rotate")
    new = await _rotated(desk, old)
    by_old = await _acknowledge(old, new.data["client_id"])
    assert by_old.status_code == 403
    done = await _acknowledge(new, new.data["client_id"])
    assert (done.status_code, done.json()["state"]) == (202, "acknowledged")
    assert ((await old.ask()).status_code, (await new.ask()).status_code) == (401, 200)
    assert (await _acknowledge(new, new.data["client_id"])).status_code == 202
    await desk.switch(repeated_answer=409)
    assert (await _acknowledge(new, new.data["client_id"])).status_code == 409


async def test_compromised_credentials_die_at_once_with_their_tokens(desk: Any) -> None:
    old = await desk.install(approved=True)
    token = await old.token()
    await desk.ask(old, "rotate", {"compromise": True})
    assert (await old.ask()).status_code == 401
    assert (await old.call(token=token)).status_code == 401
    assert (await (await _rotated(desk, old)).ask()).status_code == 200


async def test_the_partner_may_ask_for_a_rotation(desk: Any) -> None:
    old = await desk.install(approved=True)
    assert (await old.call("/credentials/actions/rotate", body={})).status_code == 202
    await desk.settle()
    assert (await (await _rotated(desk, old)).ask()).status_code == 200


async def test_an_acknowledgement_that_fits_nothing_is_refused(desk: Any) -> None:
    partner = await desk.install(approved=True)
    assert (await _acknowledge(partner, partner.data["client_id"])).status_code == 409
    assert (await _acknowledge(partner, "unknown")).status_code == 404
    wrong = await partner.call(f"/credentials/{partner.data['client_id']}/state", body={"state": "approve"})
    assert wrong.status_code == 400
