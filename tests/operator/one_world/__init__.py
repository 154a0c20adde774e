"""What an operator does that is started once, with settings that suit all of these tests.

Each test declares an app of its own. Who kills the operator, or waits until it writes nothing, has a world to
itself, in the folder above.
"""
