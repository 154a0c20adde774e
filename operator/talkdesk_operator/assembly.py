"""What reconciles, put together from what the process has opened."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from talkdesk_operator.answer import Answerer, Desk
from talkdesk_operator.app_reconcile import AppReconciler
from talkdesk_operator.app_rollout import RolloutDesk
from talkdesk_operator.apply import Applier
from talkdesk_operator.brake import BrakePolicy
from talkdesk_operator.census import Census
from talkdesk_operator.credentials import CredentialStore
from talkdesk_operator.endings import Endings
from talkdesk_operator.gateway_keys import GatewayKeys
from talkdesk_operator.hanging import Hanging
from talkdesk_operator.keeper import Keeper
from talkdesk_operator.keyring import Keyring
from talkdesk_operator.mail.mailer import Mailer
from talkdesk_operator.mail.smtp import Smtp
from talkdesk_operator.memory import Cadence
from talkdesk_operator.observe import Observer
from talkdesk_operator.pace import Pace
from talkdesk_operator.provision import Provisioner
from talkdesk_operator.publish import Publisher
from talkdesk_operator.reconcile import Steps, TenantReconciler
from talkdesk_operator.remains import Remains
from talkdesk_operator.revocations import RevocationDesk
from talkdesk_operator.rotator import Rotator
from talkdesk_operator.sources import Sources
from talkdesk_operator.sweep import Ages
from talkdesk_operator.sweeper import Bounds, Sweeper
from talkdesk_operator.user_sync import UserSync

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_client import TalkdeskClient
    from talkdesk_kube import Kube
    from talkdesk_kube.events import EventRecorder
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.directory import Directory
    from talkdesk_operator.keys import Key
    from talkdesk_operator.mail.desk import MailDesk
    from talkdesk_operator.memory import Memory
    from talkdesk_operator.metrics import Metrics
    from talkdesk_operator.probe import Prober
    from talkdesk_operator.revision_store import RevisionStore
    from talkdesk_operator.settings import OperatorSettings
    from talkdesk_operator.slices import SliceStore
    from talkdesk_operator.tenant import Release


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the process has opened."""

    settings: OperatorSettings
    release: Release
    kube: Kube
    client: TalkdeskClient
    recorder: EventRecorder
    caches: Caches
    directory: Directory
    memory: Memory
    metrics: Metrics
    prober: Prober
    revisions: RevisionStore
    #: Has the queue look at a key.
    wake: Callable[[Key], None]
    slices: SliceStore
    revocations: RevocationDesk
    mails: MailDesk


def now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


def endings(parts: Parts) -> Endings:
    """What decides about ends of access that only Talkdesk's API tells of."""
    settings = parts.settings
    policy = BrakePolicy(
        hold=timedelta(seconds=settings.brake_seconds),
        # A wrong answer reaches everybody in the course of one resync.
        window=timedelta(seconds=max(3600.0, settings.resync_seconds)),
    )
    return Endings(parts.caches, policy, now)


def apps(parts: Parts, *, told: Callable[[str], None]) -> AppReconciler:
    """What reconciles TalkdeskApps; ``told`` hears of each tenant that a roll-out gave another revision."""
    return AppReconciler(
        kube=parts.kube,
        caches=parts.caches,
        directory=parts.directory,
        desk=RolloutDesk(
            kube=parts.kube,
            caches=parts.caches,
            revisions=parts.revisions,
            census=Census(parts.caches, parts.revisions),
            told=told,
            clock=now,
        ),
        recorder=parts.recorder,
        namespace=parts.settings.namespace,
        endings=endings(parts),
        clock=now,
    )


def remains(parts: Parts) -> Remains:
    """What deletes installations, and what they leave behind."""
    vault = parts.settings.credentials_namespace
    return Remains(parts.kube, parts.caches, release=parts.release.id, credentials_namespace=vault)


def sweeper(parts: Parts) -> Sweeper:
    """What deletes credentials and revocations that nobody needs, and installations of undeclared apps."""
    settings = parts.settings
    return Sweeper(
        kube=parts.kube,
        caches=parts.caches,
        directory=parts.directory,
        remains=remains(parts),
        recorder=parts.recorder,
        release=parts.release,
        credentials_namespace=settings.credentials_namespace,
        bounds=Bounds(
            ages=Ages(
                superseded=timedelta(seconds=settings.superseded_seconds),
                unclaimed=timedelta(seconds=settings.unclaimed_seconds),
            ),
            revocation=timedelta(seconds=settings.revocation_seconds),
            undeclared=settings.undeclared_kept,
        ),
        every=settings.sweep_seconds,
        clock=now,
    )


def revocation_desk(
    kube: Kube, caches: Caches, slices: SliceStore, settings: OperatorSettings
) -> RevocationDesk:
    """What applies revocations: one for all, for nobody else may write slices meanwhile."""
    return RevocationDesk(kube, caches, slices, now, kept=timedelta(seconds=settings.revocation_seconds))


def gateway_keys(parts: Parts) -> GatewayKeys:
    """What makes and turns the gateway's keys."""
    settings = parts.settings
    return GatewayKeys(
        kube=parts.kube,
        caches=parts.caches,
        namespace=settings.namespace,
        release=settings.release,
        session_every=timedelta(seconds=settings.session_key_seconds),
        identity_every=timedelta(seconds=settings.identity_key_seconds),
        clock=now,
    )


def mailer(parts: Parts) -> Mailer:
    """What sends the mails that are owed."""
    settings = parts.settings
    return Mailer(
        desk=parts.mails,
        smtp=Smtp(settings, local_name=settings.pod_name),
        sender=settings.smtp_from,
        caches=parts.caches,
        directory=parts.directory,
        slices=parts.slices,
        memory=parts.memory,
        metrics=parts.metrics,
        release=parts.release,
        wake=parts.wake,
        clock=now,
    )


def tenants(parts: Parts) -> TenantReconciler:
    """What reconciles tenants."""
    kube, caches, client, settings = parts.kube, parts.caches, parts.client, parts.settings
    slices, revocations = parts.slices, parts.revocations
    hanging = Hanging(max(1, settings.workers // 4), time.monotonic)
    users = UserSync(
        client, hanging, slices=slices, revocations=revocations, endings=endings(parts), clock=now
    )
    keyring = Keyring(
        CredentialStore(kube, settings.credentials_namespace),
        monotonic=time.monotonic,
        pause=settings.pending_resync_seconds,
    )
    observer = Observer(
        kube=kube,
        caches=caches,
        client=client,
        keyring=keyring,
        spreading=timedelta(seconds=settings.spreading_seconds),
        revoked=timedelta(seconds=settings.revoked_seconds),
        slices=slices,
        revocations=revocations,
        memory=parts.memory,
        cadence=Cadence(resync=settings.resync_seconds, pending=settings.pending_resync_seconds),
        pace=Pace(settings.resync_rate),
        hanging=hanging,
        clock=now,
        monotonic=time.monotonic,
    )
    desk = Desk(
        kube=kube,
        client=client,
        hanging=hanging,
        observer=observer,
        users=users,
        revocations=revocations,
        mails=parts.mails,
        metrics=parts.metrics,
        clock=now,
        monotonic=time.monotonic,
        delivered_within=timedelta(seconds=settings.event_seconds),
    )
    provisioner = Provisioner(
        applier=Applier(kube, caches, Sources(kube, caches, parts.memory), now),
        caches=caches,
        prober=parts.prober,
        memory=parts.memory,
        metrics=parts.metrics,
    )
    keeper = Keeper(
        kube=kube,
        caches=caches,
        directory=parts.directory,
        mails=parts.mails,
        remains=remains(parts),
        clock=now,
    )
    publisher = Publisher(kube, observer, parts.recorder, now)
    return TenantReconciler(
        Steps(
            release=parts.release,
            directory=parts.directory,
            observer=observer,
            keeper=keeper,
            provisioner=provisioner,
            revisions=parts.revisions,
            users=users,
            slices=slices,
            answerer=Answerer(desk),
            publisher=publisher,
            rotator=Rotator(
                client=client,
                hanging=hanging,
                keyring=keyring,
                publisher=publisher,
                settle=timedelta(seconds=settings.acknowledge_seconds),
                clock=now,
                monotonic=time.monotonic,
            ),
            endings=endings(parts),
            mails=parts.mails,
            wake=parts.wake,
            clock=now,
        )
    )
