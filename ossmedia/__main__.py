"""``python -m ossmedia`` is the command ``ossmedia``."""

from __future__ import annotations

import sys

from ossmedia.cli import main

if __name__ == "__main__":
    sys.exit(main())
