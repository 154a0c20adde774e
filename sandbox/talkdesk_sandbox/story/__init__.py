"""A customer's life, played on a running sandbox and observed from the outside.

What counts as observed is what the API server holds (spec and data, never our own status), what the tenant's
Service answers, and what the Talkdesk stand-in's ledger says.
"""
