"""The marketplace in a real browser; its sandbox ends with the last of these tests."""
