"""What is chosen by the data: the judge of a smoothing, the search, outliers, borders, specks."""

from dataclasses import replace

import pytest
import torch
from shapes import is_watertight, sphere, torus

from neural_splines.cells.batches import Smoothing
from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.geometry import Box
from neural_splines.run import cells, whole
from neural_splines.runtime.monitor import Silent
from neural_splines.selection import score
from neural_splines.selection.dependence import follows_noise
from neural_splines.selection.search import NEGLIGIBLE, SLOPES, SmoothingSearch
from neural_splines.selection.validation import LeftOut
from neural_splines.settings import CellSettings, Settings
from neural_splines.surface.lattice import Lattice


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noisy(cloud: OrientedCloud, sigma: float) -> OrientedCloud:
    noise = torch.randn(cloud.points.shape, generator=generator(3), dtype=torch.float64)
    return replace(cloud, points=cloud.points + sigma * noise)


def plane_normals(cloud: OrientedCloud, k=20) -> OrientedCloud:
    near = torch.cdist(cloud.points, cloud.points).topk(k, largest=False).indices
    centred = cloud.points[near] - cloud.points[near].mean(1, keepdim=True)
    normals = torch.linalg.svd(centred)[2][:, 2]
    return replace(cloud, normals=normals * torch.sign((normals * cloud.normals).sum(1, keepdim=True)))


def plane_residuals(f, window=0.5):
    """Of a field of the height z alone, at points with normals upwards."""
    x = torch.zeros(40, 3, dtype=torch.float64)
    x[:, 2] = 0.2 * torch.randn(40, generator=generator(), dtype=torch.float64).clamp(-2, 2)
    n = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(40, 3)
    z = x[:, 2].clone().requires_grad_()
    (slope,) = torch.autograd.grad(f(z).sum(), z)
    values = f(score.lines(x, n, window)[:, 2])
    return x[:, 2], score.residuals(f(x[:, 2]), slope[:, None] * n, values, n, window)


def test_distances_to_a_flat_sheet_are_heights():
    """Also where the field is steep or flat: |f| alone would shrink with it."""
    for steepness in (0.1, 1.0, 20.0):
        z, found = plane_residuals(lambda z, k=steepness: k * (z - 0.05))
        assert torch.allclose(found.distance, (z - 0.05).abs(), atol=1e-12)
        assert found.angle.max() < 1e-6


def test_a_field_of_many_sheets_is_not_close_to_every_point():
    """Each point lies near some zero of the sine, but the sheet in the middle is elsewhere."""
    _, wild = plane_residuals(lambda z: torch.sin(80 * z) + 2 * z)
    z, calm = plane_residuals(lambda z: z)
    first_order = (torch.sin(80 * z) + 2 * z).abs() / 80
    assert wild.distance.square().mean() > 10 * first_order.square().mean()
    assert score.errors([wild, calm])[1] < score.errors([wild, calm])[0]


def test_heights_are_those_of_a_fine_sum(generator):
    f = torch.randn(30, 13, generator=generator, dtype=torch.float64)
    _, height = score.heights(f, 0.1)
    t = torch.linspace(0, 12, 12001, dtype=torch.float64)
    low = t.floor().long().clamp(max=11)
    line = f[:, low] + (t - low) * (f[:, low + 1] - f[:, low])
    expected = -0.5 * 0.1 * torch.trapezoid(torch.sign(line), t)
    assert torch.allclose(height, expected, atol=1e-3)


def test_the_larger_error_is_that_of_the_worse_surface(generator):
    """Two heights over the same noisy points: the mean square tells them apart, and a clip keeps outliers out."""
    noise = 0.1 * torch.randn(4000, generator=generator, dtype=torch.float64)
    noise[:20] = 1e3
    angle = torch.full((4000,), 0.1, dtype=torch.float64)
    found = score.errors([score.Residuals((noise - shift).abs(), angle) for shift in (0.0, 0.03, 0.1)])
    assert found[0] < found[1] < found[2]


@pytest.mark.parametrize(
    ("make", "sigma", "follows"), [("exact", 0.02, False), ("planes", 0.02, True), ("exact", 0, False)]
)
def test_normals_that_were_made_from_noisy_points_are_recognised(make, sigma, follows):
    cloud = noisy(torus(2500), sigma)
    cloud = plane_normals(cloud) if make == "planes" else cloud
    assert follows_noise(cloud, generator()) is follows


def test_patches_are_judged_by_their_inside():
    """No point that is left lies nearer to a judge than the width of what was left out around it."""
    cloud = sphere(3000)
    left = LeftOut.patches(cloud.sampling, generator())
    assert (left.held | ~left.judges).all()
    assert 0 < left.judges.sum() < 0.5 * left.held.sum()
    gap = torch.cdist(cloud.points[left.judges], cloud.points[~left.held]).amin(1)
    spacing = torch.cdist(cloud.points, cloud.points).topk(2, largest=False).values[:, 1].median()
    assert gap.median() > 1.5 * spacing


def test_noise_asks_for_smoother_cells_and_the_choice_can_be_asked_for():
    """Of noisy points normals count for more; what was chosen, asked for by its options, gives the same bytes."""
    chosen = {}
    for sigma in (0.0, 0.05):
        cloud = noisy(torus(2000), sigma)
        fit = whole.fit_cloud(cloud, Settings(grid_size=48, device="cpu"))
        chosen[sigma] = fit.smoothing.gradient_length
        s = fit.smoothing
        depth = "local" if "--depth local" in fit.options() else "even"
        again = Settings(
            grid_size=48, device="cpu", regularization=s.regularization, robust_passes=s.robust_passes,
            gradient_length=s.gradient_length, cells=CellSettings(points_per_cell=fit.points_per_cell, depth=depth),
        )  # fmt: skip
        assert torch.equal(whole.fit_cloud(cloud, again).field.splines.coefficients, fit.field.splines.coefficients)
        for word in (f"--points-per-cell {fit.points_per_cell}", "--regularization", "--gradient-length"):
            assert word in fit.options()
    assert chosen[0.0] < chosen[0.05]


def test_errors_as_small_as_float32_rounds_do_not_choose():
    """Of two smoothings the first is the leader where both errors are negligible, else the better one."""
    search = SmoothingSearch(lambda size: None, generator(), Silent())
    height = torch.randn(200, generator=generator(), dtype=torch.float64).abs()
    for k, factor in ((0, 2e-8), (3, 1e-8)):
        search._found[100, SLOPES[k]] = score.Residuals(factor * height, torch.zeros_like(height))
    assert search._leader()[1] == SLOPES[3]
    search._negligible = NEGLIGIBLE
    assert search._leader()[1] == SLOPES[0]


def test_one_spline_chooses_more_regularization_for_noise():
    levels = {}
    for sigma in (0.0, 0.05):
        settings = Settings(
            grid_size=32,
            cells=None,
            regularization="auto",
            num_nystrom_samples=300,
            device="cpu",
            outer_layer_variance=0.0,
        )
        fit = whole.fit_cloud(noisy(sphere(1500), sigma), settings)
        assert "held-out points" in fit.details()
        levels[sigma] = fit.regularization
    assert levels[0.05] > 10 * levels[0.0]


@pytest.mark.parametrize("thickness", [0.0, 0.002, 0.02])
def test_thin_clouds_keep_a_margin(thickness):
    """A plate of a few voxels is not cut off by the lattice."""
    low, high = torch.zeros(3, dtype=torch.float64), torch.tensor([1.0, 0.8, thickness], dtype=torch.float64)
    lattice = Lattice.around(Box(low, high), 1.1, 128)
    assert max(lattice.shape) == 128
    margin = torch.minimum(low - lattice.box.lower, lattice.box.upper - high)
    assert (margin >= 3 * lattice.voxel_size - 1e-9).all()
    tight = Lattice.around(Box(low, high), 1.0, 128)
    assert tight.shape == Lattice.covering(Box(low, high), 128).shape


def test_a_closed_cloud_gives_a_closed_mesh_and_keeps_its_bytes_with_holes_filled_by_size():
    cloud = sphere(3000)
    settings = Settings(grid_size=32, device="cpu", regularization=1e-7)
    mesh = whole.mesh_cloud(cloud, settings).mesh
    assert is_watertight(mesh.faces)
    filled = replace(
        settings, cells=CellSettings(fill_holes=5.0), outer_layer_variance=0.0, trim="auto", min_component="auto"
    )
    found = whole.mesh_cloud(cloud, filled).mesh
    assert is_watertight(found.faces)
    assert torch.allclose(found.vertices.norm(dim=1), torch.ones(1, dtype=torch.float64), atol=2e-3)


def test_holes_up_to_a_size_are_filled():
    """A hole of 5 spacings to its middle stays open, and is closed where holes of 8 are."""
    cloud = sphere(3000)
    cloud = OrientedCloud(*(t[cloud.points[:, 2] < 0.85] for t in (cloud.points, cloud.normals)))
    closed = {}
    for size in (False, 8.0):
        settings = Settings(
            grid_size=32, scale=1.5, device="cpu", regularization=1e-7, cells=CellSettings(fill_holes=size)
        )
        closed[size] = is_watertight(whole.mesh_cloud(cloud, settings).mesh.faces)
    assert closed == {False: False, 8.0: True}


def test_a_mesh_that_is_closed_anyway_is_kept_where_holes_are_filled():
    """The same bytes; a hole is filled."""
    cloud = torus(2000)
    settings = Settings(grid_size=32, device="cpu", regularization=1e-8, gradient_length=0.05)
    runs = [
        whole.mesh_cloud(cloud, replace(settings, cells=CellSettings(fill_holes=fill), trim=trim))
        for fill, trim in ((False, "auto"), (True, "none"))
    ]
    assert torch.equal(runs[0].mesh.vertices, runs[1].mesh.vertices)
    assert "background" not in runs[1].seconds
    place = cloud.points[cloud.points[:, 0].argmax()]
    away = (cloud.points - place).norm(dim=1) > 0.4
    holed = OrientedCloud(cloud.points[away], cloud.normals[away])
    opened = whole.mesh_cloud(holed, replace(settings, cells=CellSettings(fill_holes=True), trim="none"))
    assert "background" in opened.seconds
    assert is_watertight(opened.mesh.faces)


@pytest.mark.parametrize(("sigma", "local"), [(0.0, 0), (0.05, 1)])
def test_depths_are_looked_at_where_there_is_noise(sigma, local, monkeypatch):
    calls = []
    monkeypatch.setattr(cells, "choose_depths", lambda levels: calls.append(levels))
    whole.fit_cloud(noisy(torus(1500), sigma), Settings(grid_size=32, device="cpu", cells=CellSettings()))
    assert len(calls) == local


def test_many_points_judge_the_best_of_few_at_all_sizes():
    """Of two sizes few points prefer the smaller by chance; more of them tell."""
    smoothing, angle = Smoothing(1e-8), torch.zeros(50, dtype=torch.float64)
    search = SmoothingSearch(lambda size: None, generator(), Silent())
    search._noisy = True
    for size, error in ((100, 1.0), (800, 1.1), (1600, 3.0)):
        search._found[size, smoothing] = score.Residuals(torch.full_like(angle, error), angle)
    by_many = {100: 1.2, 800: 1.0, 1600: 3.0}

    class Trial:
        def __init__(self, size):
            self.points, self.size = angle, size

        def residuals(self, smoothing, window):
            return score.Residuals(torch.full_like(angle, by_many[self.size]), angle)

    search._trial = lambda size, like, regions: Trial(size)
    search._judge_by_many([None], [None, None])
    assert search._leader() == (800, smoothing)


def test_a_smoothing_says_what_it_is():
    assert "gradient length 0.2" in str(Smoothing(1e-7, gradient_length=0.2))
    assert "offset weight 0.3" in str(Smoothing(1e-7, 0.3))
    assert Smoothing(1e-7, gradient_length=0.2).normal_weight == pytest.approx(0.04)


@pytest.mark.parametrize(("noise", "size"), [(False, 100), (True, 800)])
def test_of_sizes_about_as_good_noise_decides(noise, size):
    """Small cells are fitted sooner; large ones hold more points to average over."""
    smoothing, angle = Smoothing(1e-7), torch.zeros(50, dtype=torch.float64)
    search = SmoothingSearch(lambda size: None, generator(), Silent())
    search._noisy = noise
    for points, error in ((100, 1.002), (800, 1.001), (1600, 1.5)):
        search._found[points, smoothing] = score.Residuals(torch.full_like(angle, error), angle)
    assert search._leader() == (size, smoothing)
    search._found[1600, smoothing] = score.Residuals(torch.full_like(angle, 0.5), angle)
    assert search._leader() == (1600, smoothing)


def test_the_search_says_how_far_it_is():
    """Step by step, so that no bar stands still while many smoothings are tried."""

    class Watching(Silent):
        def __init__(self):
            self.name, self.steps = "", []

        def phase(self, name):
            self.name = name

        def progress(self, done, total, note=""):
            if self.name == "smoothing":
                self.steps.append(done / total)

    watching = Watching()
    whole.mesh_cloud(sphere(500), Settings(grid_size=16, device="cpu"), watching)
    assert len(watching.steps) >= 6
    assert watching.steps == sorted(watching.steps)
    assert 0.0 < watching.steps[0] < 0.1
    assert 0.3 < watching.steps[-1] <= 1.0
