"""Colours and other values carried to a mesh: constants stay, linear ones nearly, nothing jumps; on files too."""

import numpy as np
import pytest
import trimesh
from glb import shown, values
from scripts import run
from shapes import sphere

import neural_splines as ns
from neural_splines.surface.attributes import NEAREST, Attributes, carry, densities, distances, interpolated

RNG = np.random.default_rng(0)
POINTS = RNG.random((2000, 3))
PLACES = 0.2 + 0.6 * RNG.random((300, 3))


def slow(points, values, place):
    """The definition, point by point."""
    distance = np.sqrt(((points - place) ** 2).sum(1))
    order = np.argsort(distance)[:NEAREST]
    radius = distance[order[-1]]
    weights = [(1 - (distance[i] / radius) ** 2) ** 2 for i in order]
    return sum(w * values[i] for w, i in zip(weights, order, strict=True)) / sum(weights)


def test_it_is_what_is_defined():
    values = RNG.random((len(POINTS), 2))
    found = carry(POINTS, values, PLACES)
    assert np.abs(found - [slow(POINTS, values, place) for place in PLACES]).max() < 1e-8


@pytest.mark.gpu
def test_on_a_gpu_it_is_the_same():
    """Colours, whole numbers and fractions, and how far the points lie that count."""
    given = Attributes(RNG.integers(0, 256, (2000, 3), np.uint8), {"class": np.arange(2000), "t": RNG.random(2000)})
    (there, far), (here, near) = (interpolated(POINTS, given, PLACES, device) for device in ("cuda", "cpu"))
    assert there.colours is not None
    assert here.colours is not None
    assert np.abs(there.colours.astype(int) - here.colours).max() <= 1  # where a half is rounded
    assert np.array_equal(there.scalars["class"], here.scalars["class"])
    assert np.allclose(there.scalars["t"], here.scalars["t"], atol=1e-9)
    assert np.allclose(far, near)
    assert np.allclose(distances(POINTS, PLACES, "cuda"), distances(POINTS, PLACES))


def test_laws():
    """Constants stay; what is between the values stays there; a linear function is kept to a spacing."""
    assert np.abs(carry(POINTS, np.full((2000, 1), 7.0), PLACES) - 7).max() < 1e-14 * 7
    values = RNG.random((2000, 1))
    found = carry(POINTS, values, PLACES)
    assert values.min() <= found.min() <= found.max() <= values.max()
    linear = carry(POINTS, POINTS[:, :1], PLACES)[:, 0]
    assert np.abs(linear - PLACES[:, 0]).max() < 2000 ** (-1 / 3)


def test_nothing_jumps():
    """Along a line the values change in proportion to the step, though the nearest points change."""
    values = RNG.random((2000, 1))
    for count in (2000, 8000):
        line = np.linspace((0.3, 0.3, 0.3), (0.7, 0.6, 0.5), count)
        steps = np.abs(np.diff(carry(POINTS, values, line)[:, 0]))
        assert steps.max() < 40 / count


@pytest.mark.parametrize("count", [1, 2, 8])
def test_few_points_do(count):
    values = np.arange(count, dtype=float)[:, None]
    found = carry(POINTS[:count], values, PLACES)
    assert found.shape == (300, 1)
    assert 0 <= found.min() <= found.max() <= count - 1


def test_what_is_not_finite_does_not_count():
    values = np.ones((2000, 1))
    values[::3] = np.nan
    assert np.abs(carry(POINTS, values, PLACES) - 1).max() < 1e-14
    assert np.isnan(carry(POINTS, np.full((2000, 1), np.nan), PLACES)).all()


def test_distance_and_density():
    """Of a square grid of spacing h: 0 at its points, h / sqrt 2 between them, 1 / h^2 points per unit of area."""
    h = 0.1
    grid = np.stack(np.meshgrid(np.arange(50) * h, np.arange(50) * h, [0.0]), -1).reshape(-1, 3)
    inside = grid[((grid[:, :2] > 1) & (grid[:, :2] < 4)).all(1)]
    assert np.abs(distances(grid, inside)).max() == 0
    assert np.abs(distances(grid, inside + np.array([h / 2, h / 2, 0])) - h / np.sqrt(2)).max() < 1e-9
    assert np.median(densities(grid, inside + np.array([0.03, 0.02, 0]))) == pytest.approx(1 / h**2, rel=0.35)
    assert densities(2 * grid, 2 * inside + 0.05) == pytest.approx(densities(grid, inside + 0.025) / 4)


@pytest.fixture
def cloud(tmp_path):
    """A ball, red in the south and blue in the north, as hot as it is high."""
    shape = sphere(1500)
    p, n = shape.points.numpy(), shape.normals.numpy()
    share = (p[:, 2] + 1) / 2
    rgb = np.round(255 * np.stack([1 - share, 0 * share, share], 1)).astype(int)
    names = "x,y,z,nx,ny,nz,red,green,blue,heat"
    np.savetxt(tmp_path / "ball.csv", np.hstack([p, n, rgb, p[:, 2:]]), delimiter=",", header=names, comments="")
    return tmp_path / "ball.csv"


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".off", ".glb"])
def test_colours_are_on_the_mesh(tmp_path, cloud, suffix):
    out = tmp_path / f"mesh{suffix}"
    assert run("fit.py", cloud, "auto", 150, 20, "--seed", 0, "--out", out).code == 0
    if suffix == ".off":  # trimesh reads no colours of it; we do
        from neural_splines.files.point_clouds import load_scanned_cloud

        found = load_scanned_cloud(out)
        vertices, colours = found.points, found.colours
    elif suffix == ".glb":
        vertices, colours = values(out, "POSITION"), shown(values(out, "COLOR_0"))
    else:
        mesh = trimesh.load(out, force="mesh", process=False)
        vertices, colours = mesh.vertices, mesh.visual.vertex_colors[:, :3]
    share = (vertices[:, 2] + 1) / 2
    assert np.abs(colours[:, 2] - 255 * share).max() < 12
    assert np.abs(colours[:, 0] - 255 * (1 - share)).max() < 12
    assert colours[:, 1].max() < 1e-9


def test_attributes_and_quality_are_properties(tmp_path, cloud):
    out = tmp_path / "mesh.ply"
    args = [cloud, "auto", 150, 20, "--seed", 0, "--out", out]
    assert run("fit.py", *args, "--attributes", "heat", "--quality", "distance").code == 0
    found = trimesh.load(out).metadata["_ply_raw"]["vertex"]["data"]
    assert np.abs(found["heat"] - found["z"]).max() < 0.05
    assert 0 <= found["quality"].min() <= found["quality"].max() < 0.1
    assert run("fit.py", *args, "--attributes", "all", "--quality", "density").code == 0
    found = trimesh.load(out).metadata["_ply_raw"]["vertex"]["data"]
    assert np.median(found["quality"]) == pytest.approx(1500 / (4 * np.pi), rel=0.35)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["--attributes", "cold"],
            "ball.csv: has no attribute 'cold' (attributes: heat); choose others with --attributes",
        ),
        (
            ["--quality", "distance", "--out", "a.stl"],
            "--quality: .stl files have no numbers of vertices; use .ply or .glb",
        ),
        (["--attributes", "all", "--out", "a.obj"], "--attributes: .obj files have no numbers of vertices"),
    ],
)
def test_what_cannot_be_carried_is_refused(tmp_path, cloud, monkeypatch, args, message):
    monkeypatch.chdir(tmp_path)
    outcome = run("fit.py", cloud, "auto", 60, 12, *args)
    assert outcome.code == 2
    assert message in outcome.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ball.csv"]


def test_a_run_repeats_with_what_it_carried(tmp_path, cloud):
    import shlex

    out = tmp_path / "mesh.ply"
    args = [cloud, "auto", 60, 12, "--out", out, "--attributes", "all", "--quality", "density", "--verbose"]
    first = run("fit.py", *args)
    before = out.read_bytes()
    again = shlex.split(next(line for line in first.out.splitlines() if line.startswith("repeat:"))[len("repeat:") :])
    assert run(*again).code == 0
    assert out.read_bytes() == before


def test_from_python(tmp_path, cloud):
    points, normals = ns.load_point_cloud(cloud)
    where, colours, scalars = ns.load_attributes(cloud)
    mesh = ns.reconstruct(points, normals, ns.Settings(cells=None, grid_size=16, num_nystrom_samples=100)).mesh
    heat = ns.carry(where, scalars["heat"], mesh.vertices)
    assert heat.shape == (len(mesh.vertices),)
    ns.save_mesh(tmp_path / "a.glb", mesh, colours=ns.carry(where, colours, mesh.vertices), scalars={"heat": heat})
    carried = shown(values(tmp_path / "a.glb", "COLOR_0"))
    assert np.abs(carried[:, 2] - 255 * (mesh.vertices[:, 2] + 1) / 2).max() < 12
