"""Meshes shown to a person in Python: in a notebook, or in a browser."""

from __future__ import annotations

import base64
import html
import importlib
import tempfile
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..files.atomic import PathLike, save_bytes
from ..quantities import counted
from ..runtime.progress import in_notebook

if TYPE_CHECKING:
    from ..pictures.page import Page

MOST_FACES = 100_000  # of a mesh that a notebook keeps, in about a megabyte; of a larger one it keeps a picture
HEIGHT, SIZE = 480, 640  # pixels: of a mesh to turn, and of a picture


def mesh_page(vertices: np.ndarray, faces: np.ndarray) -> Page:
    """The page of a mesh alone."""
    from ..pictures.page import Page

    none = np.zeros(0)
    return Page(_counted(vertices, faces), vertices, faces, np.zeros((0, 3)), none, none)


def in_html(vertices: np.ndarray, faces: np.ndarray, page: Callable[[], Page], title: str = "") -> str:
    """What a notebook shows of a mesh, which needs nothing else: the page within the cell, or a picture."""
    title = html.escape(title or _counted(vertices, faces))
    if not len(faces):
        return f"<p>{title}</p>"
    if len(faces) <= MOST_FACES:
        inner = html.escape(page().render())
        style = f"width:100%;height:{HEIGHT}px;border:1px solid #ccc"
        return f'<p>{title}</p><iframe srcdoc="{inner}" style="{style}" title="{title}"></iframe>'
    text = base64.b64encode(_picture(vertices, faces)).decode()
    words = "a picture, because it is large; show() opens a page to turn it in"
    return f'<p>{title}: {words}</p><img src="data:image/png;base64,{text}" width="{SIZE}" alt="{title}">'


def show(page: Page, path: PathLike | None, inner: Callable[[], str]) -> str | None:
    """Write a page, to a temporary file where no path is given, and open it in the browser: the path.

    In a notebook, where no path is given, what `inner` says is shown instead, and None returned.
    """
    if path is None and in_notebook():
        display = importlib.import_module("IPython.display")
        display.display(display.HTML(inner()))
        return None
    place = Path(path) if path is not None else Path(tempfile.mkdtemp(prefix="neural-splines-")) / "mesh.html"
    save_bytes(place, page.render().encode())
    webbrowser.open(place.absolute().as_uri())
    return str(place)


def _counted(vertices: np.ndarray, faces: np.ndarray) -> str:
    return f"Mesh of {counted(len(vertices), 'vertex', 'vertices')} and {counted(len(faces), 'face')}"


def _picture(vertices: np.ndarray, faces: np.ndarray) -> bytes:
    """PNG of the mesh from the side that shows most."""
    from ..pictures import png
    from ..pictures.camera import good_views
    from ..pictures.shading import draw_mesh

    return png.encode(draw_mesh(vertices, faces, good_views(vertices, 1, faces=faces)[0], SIZE))
