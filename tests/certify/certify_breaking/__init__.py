"""What breaks the app from outside for the certification: a proxy before the browser, one before the mailbox,
and images that misbehave. The product has no switch for any of it.
"""
