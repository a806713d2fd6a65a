"""The page beside a tileset, index.html: tiles.html, which viewer/ is bundled to, and what it must know of this one."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np


@dataclass(frozen=True)
class TilesPage:
    """title: what the page is called. to_mesh [4, 4]: brings coordinates of the tileset to those of the mesh, or where
    it lies on the earth to those of east, north and up that files/earth.py has; there crs names the system of the mesh,
    and projected is the polynomial that brings these to it, where one is exact enough.
    """

    title: str
    to_mesh: np.ndarray
    crs: str = ""
    projected: Mapping[str, Any] | None = None

    def around(self) -> tuple[str, str]:
        """The text of the page before and after the files of the tileset that it has in it."""
        place = {"mesh": self.to_mesh.T.reshape(-1).tolist(), "crs": self.crs, "projected": self.projected}
        page = (resources.files(__package__) / "tiles.html").read_text(encoding="utf-8")
        page = page.replace("<!--TITLE-->", html.escape(self.title))
        page = page.replace("<!--DATA-->", json.dumps({"place": place}).replace("<", "\\u003c"))
        before, after = page.split("<!--FILES-->")
        return before, after
