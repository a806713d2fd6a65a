"""What a run leaves behind: the mesh, what --save-grid and --save-points ask for, and a summary."""

from __future__ import annotations

from .atomic import check_writable
from .files import save_arrays, save_grid, save_mesh
from .reconstruct import Reconstruction


def output_paths(out: str, grid: bool, points: bool) -> list[str]:
    """Every file that a run will write, checked for being writable before work starts."""
    paths = [out]
    paths += [f"{out}.grid.npy", f"{out}.grid.json"] if grid else []
    paths += [f"{out}.pts.npz"] if points else []
    for path in paths:
        check_writable(path)
    return paths


def save(result: Reconstruction, out: str, grid: bool, points: bool) -> None:
    """Write the mesh to `out`; the dense grid to {out}.grid.npy and .json; the constraints to {out}.pts.npz.

    The grid's value (i, j, k) lies at origin + (index + 0.5) * voxel_size, in world units as its values.
    """
    lattice = result.lattice
    if grid:
        save_grid(
            f"{out}.grid.npy",
            result.grid,
            f"{out}.grid.json",
            {"origin": lattice.origin.tolist(), "voxel_size": lattice.voxel_size, "shape": list(lattice.shape)},
        )
    if points:
        fit = result.fit
        save_arrays(
            f"{out}.pts.npz",
            positions=fit.positions,
            values=fit.values,
            nystrom_samples=fit.world_centers(),
            eps=result.eps,
        )
    save_mesh(out, result.mesh.vertices, result.mesh.normals, result.mesh.faces, voxel_size=lattice.voxel_size)


def summary(result: Reconstruction, out: str, cleaning: str) -> str:
    """The lines that a script prints at the end."""
    lattice, mesh = result.lattice, result.mesh
    nx, ny, nz = lattice.shape
    fitted = f", {len(result.cloud)} after downsampling" if "downsample" in result.seconds else ""
    share = result.evaluations / lattice.size
    lines = [
        f"points:   {cleaning}{fitted}",
        f"fit:      {result.fit.summary()}, eps {result.eps:.6g} ({result.compute.summary})",
        f"lattice:  {nx} x {ny} x {nz}, voxel {lattice.voxel_size:.6g}, {result.evaluations} evaluations "
        f"({share:.1%} of the dense grid)",
        f"mesh:     {len(mesh.vertices)} vertices, {len(mesh.faces)} faces -> {out}",
        f"seconds:  {', '.join(f'{name} {spent:.2f}' for name, spent in result.seconds.items())}",
    ]
    return "\n".join(lines)
