"""Signing in, out and being signed out; the sandbox ends with the last of these tests."""
