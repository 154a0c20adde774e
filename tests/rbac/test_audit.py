"""The audit logs of the whole run, set against the chart's roles. Comes last of all tests.

The product's requests are known by its service accounts and by its user agents; tests that act as somebody
else say so by another user agent.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from talkdesk_sandbox.rights import COMPONENTS, is_refused, promised, used
from talkdesk_sandbox.run_audit import RunAudit, read

pytestmark = [pytest.mark.cluster, pytest.mark.sandbox]

#: A tenant that somebody deletes takes nothing new any more: neither RBAC nor a policy says so.
TERMINATING = "because it is being terminated"


@pytest.fixture(scope="module")
def audits(whole_run: Any) -> list[RunAudit]:
    """Of the run that ``AUDITS`` names, which may have had several processes, else of this one."""
    folder = os.environ.get("AUDITS")
    if folder is None:
        return [whole_run.audit(plane) for plane in whole_run.control_planes]
    found = read(sorted(Path(folder).glob("*.json")))
    assert any(audit.wide_story for audit in found), f"{folder} holds no record of a whole run"
    return found


def shown(entry: dict[str, Any]) -> str:
    """One line about a request."""
    where = entry.get("objectRef") or {}
    told = (entry.get("responseStatus") or {}).get("message", "")
    return (
        f"{entry['requestReceivedTimestamp']} {entry['user']['username']} {entry['verb']} "
        f"{where.get('resource', '')} {where.get('namespace', '')}/{where.get('name', '')}: {told}"
    )


def test_the_product_runs_under_the_charts_service_accounts_alone(
    audits: list[RunAudit], capsys: pytest.CaptureFixture[str]
) -> None:
    others = Counter(
        entry["user"].get("username", "nobody")
        for audit in audits
        for entry in audit.requests
        # A token that has expired names nobody; the request is refused and repeated with a new one.
        if not _is_ours(entry) and (entry.get("responseStatus") or {}).get("code") != 401
    )
    with capsys.disabled():
        print(f"\n  requests by the product's user agents as somebody else: {dict(others)}")
    assert not others, f"requests by the product's user agent as {others}"


def test_no_request_of_the_product_is_refused_but_on_purpose(
    audits: list[RunAudit], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = sum(len(audit.requests) for audit in audits)
    found = [(audit, entry) for audit in audits for entry in audit.requests if is_refused(entry)]
    others = [
        (audit, entry)
        for audit, entry in found
        if TERMINATING not in entry["responseStatus"].get("message", "")
    ]
    unintended = [entry for audit, entry in others if not audit.intended(entry)]
    with capsys.disabled():
        print(
            f"\n  {asked} requests of the product: "
            f"{len(others) - len(unintended)} refused on purpose, {len(unintended)} otherwise, "
            f"{len(found) - len(others)} to namespaces that were being deleted"
        )
        for entry in unintended[:10]:
            print(f"    {shown(entry)}")
    assert not unintended, "\n".join(shown(entry) for entry in unintended[:20])


def test_no_right_of_the_chart_is_unused(audits: list[RunAudit], capsys: pytest.CaptureFixture[str]) -> None:
    exercised = {right for audit in audits for entry in audit.requests for right in used(entry)}
    rights = set(promised())
    wide_story = any(audit.wide_story for audit in audits)
    beyond = sorted(map(str, exercised - rights))
    unused = sorted(map(str, rights - exercised))
    with capsys.disabled():
        judged = "" if wide_story else " (not judged: the wide story is no part of this run)"
        print(
            f"\n  {len(rights)} rights, {len(unused)} unused{judged}: {unused}; beyond the chart's: {beyond}"
        )
    assert not beyond, f"used, and not the chart's: {beyond}"
    assert not wide_story or not unused, f"the chart grants, and nothing uses: {unused}"


def _is_ours(entry: dict[str, Any]) -> bool:
    parts = entry["user"].get("username", "").split(":")
    return (
        parts[:2] == ["system", "serviceaccount"]
        and len(parts) == 4
        and parts[3].rpartition("-")[2] in COMPONENTS
    )
