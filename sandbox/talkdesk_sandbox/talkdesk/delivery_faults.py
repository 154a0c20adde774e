"""Faults of deliveries: what a network, or a Talkdesk on a bad day, does to events on their way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

DeliveryFaultKind = Literal["drop", "delay", "duplicate", "reorder", "bad-signature"]
DELIVERY_FAULTS: tuple[DeliveryFaultKind, ...] = get_args(DeliveryFaultKind)


@dataclass(frozen=True, kw_only=True)
class DeliveryFault:
    """What happens to the next ``times`` attempts to deliver an event.

    ``drop``: it never arrives, and counts as an error: the next attempt comes when it is due. ``delay``: it
    leaves ``delay_seconds`` (wall time) late. ``duplicate``: it is sent twice. ``reorder``: it is kept back
    until another event was sent, or for a minute of Talkdesk's clock. ``bad-signature``: the signature is
    that of another body.
    """

    kind: DeliveryFaultKind
    times: int = 1
    delay_seconds: float = 0.0


class DeliveryFaults:
    """The faults in force, in the order they were asked for."""

    def __init__(self) -> None:
        self.waiting: list[DeliveryFault] = []

    def take(self) -> DeliveryFault | None:
        """The fault of the next attempt, used up by one."""
        if not self.waiting:
            return None
        fault = self.waiting[0]
        if fault.times > 1:
            self.waiting[0] = replace(fault, times=fault.times - 1)
        else:
            del self.waiting[0]
        return fault
