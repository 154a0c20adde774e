"""The controller that turns TalkdeskInstallations into working tenants.

Level-based: whatever wakes it, one function looks at everything about one tenant and brings it to what it
should be. Kopf is the edge; policy lives in pure modules (``region``, ``incumbent``, ``render``, ``tenant``,
``users``, ``gate``, ``confirm``, ``conditions``), which take values and the time and return values.
"""
