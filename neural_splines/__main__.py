"""python -m neural_splines COMMAND ..."""

import sys

from .command_line.main import main

if __name__ == "__main__":
    sys.exit(main())
