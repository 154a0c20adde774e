"""``python -m talkdesk_cli``: the same as the ``talkdesk-operator`` command."""

from talkdesk_cli.main import app

app()
