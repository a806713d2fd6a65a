"""Do views that are ranked by what is not supported complete a surface sooner than views in any order?

    python benchmarks/views.py [--data FOLDER] [--grid 96] [--orders 20] [--shapes bunny,torus] [--sets 6,7]

Ten range images of a shape (`spoilt.scanned`: orthographic, .05 % noise, slightly misaligned). Greedy: from the first
image on, what there is is closed by fill_holes, and the image taken next is that whose direction `views` ranks first by
support. Random: the others in any order after the same first image. After every image the cloud is reconstructed, with
a smoothing that is not chosen anew each time; completeness is the mean distance of the truth from that mesh over the
truth's diagonal, in 1e-4. Told is how many images it takes to come to 1.1 times the completeness of all ten, in the
mean of greedy orders from several first images and of random ones, and the completeness after some images. With --sets
also what no order can do better: the best completeness of all sets of so many images.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import numpy as np  # noqa: E402
import scene_shapes  # noqa: E402
import spoilt  # noqa: E402
import truths  # noqa: E402
from measures import nearest, sample  # noqa: E402
from truths import Shape  # noqa: E402

NOISE, MOVE = 0.0005, 0.0003  # parts of the diagonal, as of `scan0.05`
ENOUGH = 1.1  # times the completeness of all images
SAMPLES = 50_000
SMOOTHING = {"regularization": 1e-6, "points_per_cell": 200}
SOME = (2, 4, 6)
FAR = 10.0  # diagonals: of an eye in the place of parallel rays
SHAPES = {"knot": truths.example_knot, "torus": truths.torus, "gear": truths.gear}


class Images:
    """Range images of a shape, and the completeness of what some of them make."""

    def __init__(self, shape: Shape, grid: int, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.shape, self.grid, self.middle = shape, grid, (shape.vertices.min(0) + shape.vertices.max(0)) / 2
        turn = np.pi * (3 - 5**0.5) * np.arange(spoilt.SCANS)
        self.backs = scene_shapes.directions_of(turn, np.arcsin(1 - (2 * np.arange(spoilt.SCANS) + 1) / spoilt.SCANS))
        self.clouds = []
        for back in self.backs:
            image = spoilt.range_image(shape, self.middle, back, rng, NOISE * shape.diagonal)
            points, normals = spoilt.image_normals(image, back, spoilt.PIXEL * shape.diagonal)
            rotation = spoilt.rotation_about(spoilt._unit(rng), 2 * MOVE)
            shift = MOVE * shape.diagonal * spoilt._unit(rng)
            self.clouds.append((self.middle + (points - self.middle) @ rotation.T + shift, normals @ rotation.T))
        self.truth = sample(shape.vertices, shape.faces, SAMPLES, seed)[0]
        self._known: dict[frozenset[int], float] = {}

    def reconstructed(self, images, **options):
        import neural_splines as ns

        points, normals = (
            np.concatenate(parts) for parts in zip(*(self.clouds[k] for k in sorted(images)), strict=True)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ns.ReconstructionWarning)
            return ns.reconstruct(points, normals, grid_size=self.grid, **SMOOTHING, **options)

    def completeness(self, images) -> float:
        key = frozenset(images)
        if key not in self._known:
            mesh = self.reconstructed(key).mesh
            distance = nearest(self.truth, mesh.vertices, mesh.faces)[0]
            self._known[key] = float(distance.mean() / self.shape.diagonal)
        return self._known[key]

    def greedy(self, first: int) -> list[int]:
        """The order of the images; where no view sees anything uncertain, the others as they come."""
        import neural_splines as ns

        order = [first]
        while len(order) < spoilt.SCANS:
            left = [k for k in range(spoilt.SCANS) if k not in order]
            result = self.reconstructed(order, fill_holes=True)
            eyes = self.middle + FAR * self.shape.diagonal * self.backs[left]
            found = ns.views(result, positions=eyes, count=1)
            place = 0 if not len(found) else int(np.linalg.norm(eyes - found[0].position, axis=1).argmin())
            order.append(left[place])
        return order

    def needed(self, order: list[int]) -> int:
        """How many images of an order it takes."""
        limit = ENOUGH * self.completeness(range(spoilt.SCANS))
        return next(k for k in range(1, spoilt.SCANS + 1) if self.completeness(order[:k]) <= limit)

    def best(self, count: int) -> tuple[int, ...]:
        """Of all sets of so many images the one that is most complete."""
        return min(combinations(range(spoilt.SCANS), count), key=self.completeness)


def main(argv=None) -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, metavar="FOLDER", help="with bunny_gt.ply; without it there is no bunny")
    p.add_argument("--grid", type=int, default=96, help="(%(default)s)")
    p.add_argument("--orders", type=int, default=20, help="random ones (%(default)s)")
    p.add_argument("--firsts", type=int, default=4, help="first images that greedy orders begin with (%(default)s)")
    p.add_argument("--shapes", default="bunny,knot,gear", help="by commas (%(default)s)")
    p.add_argument("--sets", default="", metavar="NUMBERS", help="try all sets of so many images, as 6,7: minutes each")
    options = p.parse_args(argv)
    columns = ["shape", "all ten", "greedy needs", "random needs", *(f"{k}: greedy, random" for k in SOME)]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for name in options.shapes.split(","):
        if name == "bunny":
            if options.data is None:
                continue
            from neural_splines.files.meshes import load_mesh

            shape = Shape(*(part.numpy() for part in load_mesh(options.data / "bunny_gt.ply")))
        else:
            shape = SHAPES[name]()
        images, rng = Images(shape, options.grid), np.random.default_rng(1)
        random = [[0, *(1 + rng.permutation(spoilt.SCANS - 1))] for _ in range(options.orders)]
        greedy = [images.greedy(first) for first in range(options.firsts)]
        after = [
            ", ".join(
                f"{1e4 * np.mean([images.completeness(o[:k]) for o in some]):.1f}" for some in (greedy[:1], random)
            )
            for k in SOME
        ]
        needs = [[images.needed(order) for order in orders] for orders in (greedy, random)]
        told = [f"{np.mean(part):.1f} ({min(part)} to {max(part)})" for part in needs]
        whole = f"{1e4 * images.completeness(range(spoilt.SCANS)):.2f}"
        print(f"| {' | '.join([name, whole, *told, *after])} |", flush=True)
        for count in map(int, filter(None, options.sets.split(","))):
            best = images.best(count)
            print(
                f"{name}, best of all sets of {count}: {1e4 * images.completeness(best):.2f}, images {best}", flush=True
            )


if __name__ == "__main__":
    main()
