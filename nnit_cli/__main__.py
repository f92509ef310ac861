"""``python -m nnit_cli`` is ``nnit``."""

import sys

from nnit_cli.main import main

if __name__ == "__main__":
    sys.exit(main())
