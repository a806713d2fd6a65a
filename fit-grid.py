#!/usr/bin/env python
"""Reconstruct a triangle mesh from an oriented point cloud with a smooth blend of many local neural splines.

The story is in neural_splines/command_line/fit_grid.py: load, reconstruct, save, print. This is the same as
`neural-splines fit-grid`.
"""

import os
import sys

folder = os.path.dirname(os.path.realpath(__file__))
if folder not in sys.path:  # python -I and PYTHONSAFEPATH keep it off
    sys.path.insert(0, folder)

from neural_splines.runtime import interrupts

if __name__ == "__main__":
    interrupts.install("fit-grid.py")  # before what takes time to import

from neural_splines.command_line.fit_grid import main

if __name__ == "__main__":
    main()
