"""``python -m talkdesk_sandbox.demo``."""

from __future__ import annotations

import asyncio
import os
import sys

from talkdesk_sandbox.demo.app import Demo
from talkdesk_sandbox.demo.settings import Settings


def main() -> int:
    """Serve until told to end; 2 where the settings or the address are no good."""
    try:
        asyncio.run(Demo(Settings.of(os.environ)).serve())
    except (OSError, ValueError) as error:
        print(f"the demo app cannot start: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
