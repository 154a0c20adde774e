"""The demo workload: Callboard, a small web app of one customer, as a partner would write it.

It shows how much, and how little, an app has to do: it reads the account record that the operator mounts,
and believes the identity that the gateway sends along. Signing in, sessions, licences and the Talkdesk bar
are not its business.
"""
