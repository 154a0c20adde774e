"""``talkdesk-operator init``: an app's first files, and the sheet for Talkdesk's Partner Project."""
