"""Certification; the sandbox with the broken apps ends with the last of these tests."""
