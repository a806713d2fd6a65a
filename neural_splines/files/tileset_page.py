"""The page beside a tileset, with all of its files in it where they are few: browsers read no files beside a page that
is opened from a disk.
"""

from __future__ import annotations

import base64
import html
import os
import zlib

from ..runtime import interrupts
from .tileset import NAME, PAGE, TILES

PACKED = 6  # of zlib: tiles shrink by a third or so, which base64 takes again


def write_page(folder: str, before: str, after: str, whole: bool) -> None:
    """index.html in the folder of a tileset: text, and between its parts, if it is to be whole, all files by name."""
    with interrupts.undivided:
        stream = open(os.path.join(folder, PAGE), "xb")
    with stream:
        stream.write(before.encode())
        for name in [NAME, *sorted(f"{TILES}/{file}" for file in os.listdir(f"{folder}/{TILES}"))] if whole else []:
            with open(os.path.join(folder, name), "rb") as file:
                data = base64.b64encode(zlib.compress(file.read(), PACKED))
            stream.write(f'<script type="text/plain" data-file="{html.escape(name)}">'.encode() + data + b"</script>\n")
        stream.write(after.encode())
