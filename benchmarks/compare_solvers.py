"""One cloud, one set of centres, three solvers: our FALKON, the FalkonML library and a dense direct solution.

    python benchmarks/compare_solvers.py CLOUD CENTRES GRID_SIZE [--direct] [--iterations N --tolerance R] [...]

A distance is that of a mesh's vertices from the other's, where both have the same faces, else from the other zero set,
|f| / |grad f|; in voxels.
"""

import argparse
import time
from dataclasses import dataclass

import torch

from neural_splines.files.point_clouds import load_point_cloud
from neural_splines.kernels.kernels import make_kernel
from neural_splines.kernels.products import resolve
from neural_splines.run.choices import EPS_VOXEL_DIAGONALS
from neural_splines.run.extract import extract
from neural_splines.runtime.monitor import PhaseTimer
from neural_splines.settings import REGULARIZATION, Settings
from neural_splines.spline import solvers
from neural_splines.spline.fitting import Centers, fit_spline
from neural_splines.spline.solvers import Solution
from neural_splines.spline.solvers.conjugate_gradient import CGResult
from neural_splines.surface.lattice import Lattice


@dataclass(frozen=True)
class Direct:
    """The least-squares problem [K_nm / sqrt n; sqrt(lambda) T] a = [y / sqrt n; 0] by QR: no normal equations."""

    regularization: float
    max_iterations: int
    tolerance: float

    def solve(self, products, kernel, x, y, centers, monitor) -> Solution:
        monitor.phase("direct")
        n = len(x)
        T = torch.linalg.cholesky(products.dense(kernel, centers, centers), upper=True)
        A = torch.cat([products.dense(kernel, x, centers) / n**0.5, self.regularization**0.5 * T])
        b = torch.cat([y / n**0.5, torch.zeros_like(centers[:, 0])])
        a = torch.linalg.lstsq(A, b[:, None], driver="gels").solution[:, 0]
        residual = float((A.mT @ (b - A @ a)).norm() / (A.mT @ b).norm())
        return Solution(a, CGResult(a, 0, residual, "converged"), 0.0)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("cloud")
    p.add_argument("centers", type=int)
    p.add_argument("grid_size", type=int)
    p.add_argument("--direct", action="store_true")
    p.add_argument("--iterations", type=int, default=Settings.cg_max_iters)
    p.add_argument("--tolerance", type=float, default=Settings.cg_stop_thresh)
    p.add_argument("--regularization", type=float, default=REGULARIZATION)
    p.add_argument("--device", default="auto")
    p.add_argument("--dtype", default="float64")
    args = p.parse_args()

    cloud, _ = load_point_cloud(args.cloud)
    settings = Settings(eps="auto", num_nystrom_samples=args.centers, grid_size=args.grid_size, cells=None)
    lattice = Lattice.covering(cloud.box.scaled(settings.scale), settings.grid_size)
    compute = resolve(args.device, "auto", getattr(torch, args.dtype))
    fits, meshes = {}, {}
    kinds = {name: solvers.load(name) for name in solvers.SOLVERS} | ({"direct": Direct} if args.direct else {})
    kernel = make_kernel(settings.kernel, settings.outer_layer_variance)
    eps = EPS_VOXEL_DIAGONALS * lattice.voxel_diagonal

    for name, kind in kinds.items():
        solver = kind(args.regularization, args.iterations, args.tolerance)
        for count in (100, args.centers):  # the first compiles and warms up
            monitor, centers = PhaseTimer(synchronize=compute.synchronize), Centers(count, settings.nystrom_mode)
            generator = torch.Generator().manual_seed(0)
            fit = fit_spline(cloud, kernel, eps, centers, solver, compute, generator, monitor)
            monitor.phase("")
        start = time.perf_counter()
        fits[name] = fit
        meshes[name] = extract(fit.field, lattice, cloud.points, settings, compute, PhaseTimer()).mesh
        spent = f"seconds {monitor.summary()}, mesh {time.perf_counter() - start:.1f}"
        print(f"{name}: {fit.summary()}, {fit.details()}; {spent}", flush=True)
    for one, mesh in meshes.items():
        for other, fit in fits.items():
            if one == other:
                continue
            if same := torch.equal(mesh.faces, meshes[other].faces):
                distance = (mesh.vertices - meshes[other].vertices).norm(dim=1)
            else:
                value, slope = fit.field.gradient(mesh.vertices.to(compute.device))
                distance = value.abs() / slope.norm(dim=1)
            mean, largest = (float(d) / lattice.voxel_size for d in (distance.mean(), distance.max()))
            faces = "the same faces" if same else "other faces"
            print(f"{one} to {other}: {faces}, mean {mean:.1e}, largest {largest:.1e} voxels")


if __name__ == "__main__":
    main()
