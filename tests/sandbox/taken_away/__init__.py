"""A story fails where an effect or a right is taken away; the sandbox ends with the last of these tests."""
