"""The audit logs of the whole run, set against the chart's roles. Comes last of all tests.

The product's requests are known by its service accounts and by its user agents; tests that act as somebody
else say so by another user agent.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_kube.client import USER_AGENT
from talkdesk_sandbox.rights import COMPONENTS, is_refused, promised, used

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.cluster, pytest.mark.sandbox]

#: Kopf names itself; everything else of ours goes through talkdesk_kube.
AGENTS = (f'"userAgent":"{USER_AGENT}"', '"userAgent":"kopf/')
#: A tenant that somebody deletes takes nothing new any more: neither RBAC nor a policy says so.
TERMINATING = "because it is being terminated"


@pytest.fixture(scope="module")
def requests_of_the_product(whole_run: Any) -> list[dict[str, Any]]:
    """Every request with one of the product's user agents, in all audit logs of the run."""
    return [entry for plane in whole_run.control_planes for entry in _by_agent(plane)]


def _by_agent(plane: Any) -> Iterator[dict[str, Any]]:
    with plane.audit_log.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n") and any(agent in line for agent in AGENTS):
                yield json.loads(line)


def shown(entry: dict[str, Any]) -> str:
    """One line about a request."""
    where = entry.get("objectRef") or {}
    told = (entry.get("responseStatus") or {}).get("message", "")
    return (
        f"{entry['requestReceivedTimestamp']} {entry['user']['username']} {entry['verb']} "
        f"{where.get('resource', '')} {where.get('namespace', '')}/{where.get('name', '')}: {told}"
    )


def test_the_product_runs_under_the_charts_service_accounts_alone(
    requests_of_the_product: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    others = Counter(
        entry["user"].get("username", "nobody")
        for entry in requests_of_the_product
        # A token that has expired names nobody; the request is refused and repeated with a new one.
        if not _is_ours(entry) and (entry.get("responseStatus") or {}).get("code") != 401
    )
    with capsys.disabled():
        print(f"\n  requests by the product's user agents as somebody else: {dict(others)}")
    assert not others, f"requests by the product's user agent as {others}"


def test_no_request_of_the_product_is_refused_but_on_purpose(
    requests_of_the_product: list[dict[str, Any]], whole_run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [entry for entry in requests_of_the_product if is_refused(entry)]
    ending = [entry for entry in found if TERMINATING in entry["responseStatus"].get("message", "")]
    others = [entry for entry in found if entry not in ending]
    unintended = [
        entry
        for entry in others
        if not whole_run.intended(datetime.fromisoformat(entry["requestReceivedTimestamp"]))
    ]
    with capsys.disabled():
        print(
            f"\n  {len(requests_of_the_product)} requests of the product: "
            f"{len(others) - len(unintended)} refused on purpose, {len(unintended)} otherwise, "
            f"{len(ending)} to namespaces that were being deleted"
        )
        for entry in unintended[:10]:
            print(f"    {shown(entry)}")
    assert not unintended, "\n".join(shown(entry) for entry in unintended[:20])


def test_no_right_of_the_chart_is_unused(
    requests_of_the_product: list[dict[str, Any]], whole_run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    exercised = {right for entry in requests_of_the_product for right in used(entry)}
    if not whole_run.control_planes:
        assert not exercised
        return
    rights = set(promised(whole_run.control_planes[0]))
    beyond = sorted(map(str, exercised - rights))
    unused = sorted(map(str, rights - exercised))
    with capsys.disabled():
        judged = "" if whole_run.wide_story else " (not judged: the wide story is no part of this run)"
        print(
            f"\n  {len(rights)} rights, {len(unused)} unused{judged}: {unused}; beyond the chart's: {beyond}"
        )
    assert not beyond, f"used, and not the chart's: {beyond}"
    assert not whole_run.wide_story or not unused, f"the chart grants, and nothing uses: {unused}"


def _is_ours(entry: dict[str, Any]) -> bool:
    parts = entry["user"].get("username", "").split(":")
    return (
        parts[:2] == ["system", "serviceaccount"]
        and len(parts) == 4
        and parts[3].rpartition("-")[2] in COMPONENTS
    )
