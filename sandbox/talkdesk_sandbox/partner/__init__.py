"""A partner's own app in the sandbox: a TalkdeskApp fitted to this machine, images as local commands."""
