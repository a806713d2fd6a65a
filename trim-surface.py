#!/usr/bin/env python
"""Drop the faces of a mesh that lie far from the point cloud it was made from.

The story is in neural_splines/command_line/trim.py: load, trim, save, print. This is the same as
`neural-splines trim`.
"""

import os
import sys

folder = os.path.dirname(os.path.realpath(__file__))
if folder not in sys.path:  # python -I and PYTHONSAFEPATH keep it off
    sys.path.insert(0, folder)

from neural_splines.runtime import interrupts

if __name__ == "__main__":
    interrupts.install("trim-surface.py")  # before what takes time to import

from neural_splines.command_line.trim import main

if __name__ == "__main__":
    main()
