"""The webhook: a signed event of Talkdesk's becomes a Secret, revocations and a TalkdeskInstallation.

The policy is in ``signature``, ``keys``, ``event``, ``fold``, ``secret`` and ``revocations``: values in,
values out. ``receiver`` (HTTP) and ``store`` (Kubernetes) are the edges, ``main`` puts them together.
"""
