"""What a person sees of the sandbox: one line for each thing that came up, was said, made or answered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.markup import escape

if TYPE_CHECKING:
    from rich.console import Console

    from talkdesk_sandbox.story.step import StepResult


class Timeline:
    """Prints to ``console``; times count from its creation."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    def _line(self, mark: str, what: str, detail: str = "", *, took: float | None = None) -> None:
        at = f"{time.monotonic() - self._began:6.1f}s"
        seconds = "" if took is None else f"{took:6.2f}s"
        self._console.print(
            f"[dim]{at}[/dim]  {mark}  {escape(what):<34} [dim]{seconds:>7}[/dim]  {escape(detail)}",
            soft_wrap=True,
            highlight=False,
            emoji=False,
        )

    def heading(self, text: str) -> None:
        """A title between two parts."""
        self._console.print(f"\n[bold]{escape(text)}[/bold]", emoji=False)

    def up(self, what: str, seconds: float) -> None:
        """A part of the sandbox is running."""
        name, _, detail = what.partition(": ")
        self._line("[green]up[/green]", name, detail, took=seconds)

    def step(self, result: StepResult) -> None:
        """A step of the story was observed, or was not."""
        mark = "[green]ok[/green]" if result.ok else "[red bold]no[/red bold]"
        self._line(mark, result.name, result.detail, took=result.seconds)

    def ledger(self, entry: dict[str, Any]) -> None:
        """What Talkdesk sent or decided; its reads and tokens would only be noise here.

        Anybody may have Talkdesk send an event of any form: an entry is told as far as it goes.
        """
        kind, detail = entry.get("kind"), entry.get("detail") or {}
        if kind == "delivery":
            sent = entry.get("event_type") or "an event"
            status = entry.get("status") or detail.get("error") or "no answer"
            self._line(
                "[cyan]->[/cyan]", f"Talkdesk sent {sent}", f"answered {status}",
                took=entry.get("seconds"),
            )  # fmt: skip
        elif kind == "transition" and detail.get("answer"):
            effect = "" if detail.get("effective") else " (no effect)"
            self._line(
                "[magenta]<-[/magenta]", f"Talkdesk was answered {detail['answer']}",
                f"{detail.get('from')} → {detail.get('to')}{effect}",
            )  # fmt: skip

    def say(self, text: str) -> None:
        """Plain text: brackets and colons are what they are."""
        self._console.print(text, soft_wrap=True, highlight=False, markup=False, emoji=False)
