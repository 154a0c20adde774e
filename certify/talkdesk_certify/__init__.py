"""Talkdesk's QA checklist, walked in a browser: what a reviewer does, sees and asks, and the report of it.

It looks from outside alone: at pages, mails and what a browser hears. It imports nothing else of this
repository; who starts a sandbox for it, and which browser it gets, is the command's business.
"""
