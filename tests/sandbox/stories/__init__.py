"""Stories in one sandbox: with switches either way, and with an effect or a right taken away.

The sandbox ends with the last of these tests.
"""
