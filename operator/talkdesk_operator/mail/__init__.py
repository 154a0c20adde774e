"""Mails to the admin who installed the app: one for each outcome of what they did, kept until it is sent.

``owed`` (pure) says which; ``record`` keeps them in an annotation; ``mailer`` sends them from a queue of its
own, so that no mail server delays a tenant or an answer to Talkdesk.
"""
