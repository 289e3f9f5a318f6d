"""`python -m muttd` is `muttd`."""

import sys

from muttd.cli import main

if __name__ == "__main__":
    sys.exit(main())
