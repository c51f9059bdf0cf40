"""`python -m goldgate`: the same program as `goldgate`."""

import sys

from goldgate.cli import main

if __name__ == "__main__":
    sys.exit(main())
