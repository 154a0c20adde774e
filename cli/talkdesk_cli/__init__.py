"""The ``talkdesk-operator`` command: starts every process of the product, and the sandbox."""
