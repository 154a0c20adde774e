"""Signing in, step by step: launch, start, callback, enter; and out again.

Each module has the policy of one step as pure functions, and beneath it the thin handler that carries it
out. Between the steps nothing is remembered here: what the next one needs is sealed and travels with the
browser.
"""
