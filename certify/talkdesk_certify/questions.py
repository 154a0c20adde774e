"""What a program cannot judge: the questions that a report asks of a person.

Each answers for sentences of Talkdesk's requirements, by the names of docs/certification.md, which says why a
person must look. All are asked whatever was walked: a check that was left out takes its picture away, not
the question.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Question:
    """``asks`` says what to do and what to look for; ``sentences`` it answers for.

    Screenshots of ``checks`` (ids, as for an ordinary customer) show what is meant.
    """

    id: str
    sentences: tuple[str, ...]
    asks: str
    checks: tuple[str, ...] = ()

    def is_about(self, check: str) -> bool:
        """Whether it is asked beside that check, a reseller's included."""
        return check.removeprefix("8.") in self.checks


QUESTIONS: tuple[Question, ...] = (
    Question(
        id="ask.purpose",
        sentences=("QA 2.4", "QA 3.4"),
        asks="Does a newcomer understand from this page what the app is for, and where to begin?",
        checks=("2.purpose", "3.purpose"),
    ),
    Question(
        id="ask.use",
        sentences=("Experience 2", "Installing 6"),
        asks="Is the app of use at once? Look for the customer's own data, samples or a tutorial, and for "
        "nothing that asks to come back later.",
        checks=("1.usable-at-once",),
    ),
    Question(
        id="ask.data",
        sentences=("QA 2.5", "QA 3.5"),
        asks="Are these the account's and the user's own data, all of them, and right?",
        checks=("2.account-data", "3.account-data"),
    ),
    Question(
        id="ask.help",
        sentences=("Experience 6",),
        asks="Does the app take a newcomer by the hand on the first visit?",
        checks=("2.onboarding",),
    ),
    Question(
        id="ask.terms",
        sentences=("QA 1.6", "QA 9.2"),
        asks="Are these your current terms of service?",
        checks=("1.terms", "9.terms"),
    ),
    Question(
        id="ask.mails",
        sentences=("Experience 3",),
        asks="Does each of these mails say what happened, whom to ask, and what to do next?",
        checks=("1.mail", "4.mail", "5.mail", "6.mail"),
    ),
    Question(
        id="ask.trial",
        sentences=("Guidelines 9",),
        asks="The trial is over: does a user understand from this page why the app is shut, and what to do?",
        checks=("6.trial-ended",),
    ),
    Question(
        id="ask.settings",
        sentences=("Reinstallation 3",),
        asks="In the sandbox, set something up in the app, uninstall it, and install it again in the same "
        "account. Is what the customer had still there? The picture shows the app after the run did so.",
        checks=("6.installs-again",),
    ),
    Question(
        id="ask.failure",
        sentences=("Experience 3", "Installing 4"),
        asks="Let an installation fail: start a sandbox whose images.yaml names a command that ends at once "
        "(“false”) for the app's image, with spec.approval.patienceSeconds at 20, and install. Do the "
        "dialogue's last page (the picture shows it on success) and the mail to the administrator say what "
        "happened, whom to ask, and what to do next?",
        checks=("1.completed",),
    ),
    Question(
        id="ask.roles",
        sentences=("Experience 7",),
        asks="If the app shows different things to different people: is there a way to say who sees what "
        "(docs/users.md), and can the customer's administrator use it? Open the app as two of them.",
    ),
    Question(
        id="ask.version",
        sentences=("Lifecycle 2",),
        asks="In the sandbox, install the app, submit another version of it (PATCH /control/apps/ID with a "
        "new name as “version”: docs/interfaces.md), and install that in another account. Does it work "
        "there, and does the first customer go on undisturbed?",
    ),
    Question(
        id="ask.redelivery",
        sentences=("Retry 1",),
        asks="In the sandbox, choose “Drop” under Controls, install the app, and move Talkdesk's clock on by "
        "five minutes. Does the installation end as any other?",
    ),
    Question(
        id="ask.timeout",
        sentences=("Timeouts 1",),
        asks="Start a sandbox with an app.yaml that names another image, and an images.yaml that has a "
        "command that ends at once (“false”) for it and the right one for the app's own. Install, and move "
        "Talkdesk's clock past seven days: does the dialogue tell the customer so? Name the right image, "
        "“talkdesk-operator sandbox apply app.yaml”, and try again: does the installation succeed?",
    ),
    Question(
        id="ask.registered",
        sentences=("Registration 1",),
        asks="Is the app registered in Talkdesk's Partner Project, with what “talkdesk-operator init” wrote "
        "into partner-project.md?",
    ),
    Question(
        id="ask.review",
        sentences=("Guidelines 5",),
        asks="Talkdesk's review comes after this one. Has somebody gone through this report, and answered "
        "what it asks, before the version is submitted?",
    ),
)
