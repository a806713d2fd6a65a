"""Draw docs/images/page.png: the page of --html as Chromium shows it. Run it where the page changes.

PYTHONPATH=. python tests/page_picture.py
"""

import tempfile
from pathlib import Path

import numpy as np
from html_page import opened
from scripts import ROOT, run, write_cloud
from skimage.io import imsave
from skimage.transform import resize

from neural_splines.cloud.clouds import OrientedCloud

SIZE, SHOWN = (1280, 760), (900, 534)
TURNED = 0.45  # radians between the points of a ring and those of the next


def bottle(rings: int = 90, points: int = 110) -> OrientedCloud:
    """A bottle of glass without a bottom, 0.2 m high, in millimetres of noise; few points on one side."""
    import torch

    random, found = np.random.default_rng(0), []
    for k in range(rings):
        height = 0.2 * (k + 0.5) / rings
        radius = 0.035 if height < 0.12 else 0.012 + 0.023 * max(0.0, (0.15 - height) / 0.03)
        angle = 2 * np.pi * (np.arange(points) + TURNED * k) / points
        slope = 0.023 / 0.03 if 0.12 < height < 0.15 else 0.0
        outwards = np.stack([np.cos(angle), np.sin(angle), np.full(points, slope)], 1) / np.hypot(1, slope)
        place = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(points, height)], 1)
        keep = random.random(points) < np.where(np.cos(angle - 4.0) > 0.5, 0.15, 1.0)
        found.append(np.concatenate([place + 1e-4 * random.normal(size=place.shape), outwards], 1)[keep])
    every = torch.from_numpy(np.concatenate(found))
    return OrientedCloud(every[:, :3].contiguous(), every[:, 3:].contiguous())


def main() -> None:
    with tempfile.TemporaryDirectory() as name, opened(*SIZE) as page:
        folder = Path(name)
        cloud = write_cloud(folder / "bottle.ply", bottle())
        args = [cloud, "auto", "auto", 128, "auto", "--seed", 0, "--cloud-units", "m", "--quality", "uncertainty"]
        done = run("fit-grid.py", *args, "--up", "z", "--out", folder / "mesh.ply", "--html", folder / "page.html")
        assert done.code == 0, done.err
        page.show(folder / "page.html")
        page.press("#front")
        page.drag((400, 300), (470, 350))
        page.press("#ruler")
        for place in ((450, 190), (450, 560)):
            page.click(*place)
        assert page.text("#state").startswith("Distance"), page.text("#state")
        page.point(470, 420)
        assert not page.said
        small = resize(page.picture(), SHOWN[::-1], anti_aliasing=True)
        imsave(ROOT / "docs" / "images" / "page.png", np.round(255 * small).astype(np.uint8), check_contrast=False)


if __name__ == "__main__":
    main()
