"""``python -m nnit`` is ``nnit``: what ``torchrun -m nnit`` starts."""

import sys

from nnit_cli.main import main

if __name__ == "__main__":
    sys.exit(main())
