"""Every backend meets one contract: the same products as a pairwise float64 loop."""

import importlib
import importlib.util
import random

import pytest
import torch
from conftest import TOLERANCE
from references import kernel_gradient, kernel_matrix

from neural_splines.errors import BackendError
from neural_splines.kernels import products
from neural_splines.kernels.kernels import KERNELS, make_kernel
from neural_splines.kernels.products import Segments, load, resolve

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BACKENDS = [
    ("torch", "cpu"),
    pytest.param(("torch", "cuda"), marks=pytest.mark.gpu),
    ("numba", "cpu"),
    ("triton", DEVICE),  # in Triton's interpreter where there is no GPU
    pytest.param(("keops", DEVICE), marks=pytest.mark.slow),  # compiles each formula for some 20 s
]
DTYPES = [torch.float64, torch.float32]
VARIANCE = 0.25


@pytest.fixture(params=BACKENDS, ids=lambda p: "-".join(p))
def backend(request):
    name, device = request.param
    if name == "triton" and importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed")
    if name == "keops":
        pytest.importorskip("pykeops")
    return load(name), device


@pytest.fixture(params=KERNELS)
def kernel(request):
    return make_kernel(request.param, VARIANCE).covering(1.0, 1.0)


@pytest.fixture(params=DTYPES, ids=str)
def problem(request, generator):
    """Clustered points, some of them equal to a column: the angles run from 0 to 90 degrees."""
    y = torch.rand(43, 3, generator=generator, dtype=torch.float64) - 0.5
    near = y[:20] + 1e-5 * torch.randn(20, 3, generator=generator, dtype=torch.float64)
    x = torch.cat([torch.rand(31, 3, generator=generator, dtype=torch.float64) - 0.5, near, y[:6]])
    w = torch.randn(43, generator=generator, dtype=torch.float64)
    # the reference sees the rounded points: rounding the input is not the backend's error
    return tuple(t.to(request.param) for t in (x, y, w))


def close(found, expected, dtype, scale=1.0):
    expected = torch.as_tensor(expected)
    error = (found.cpu().double() - expected).abs().max() / expected.abs().max()
    assert error <= scale * TOLERANCE[dtype], f"relative error {error:.1e}"


def reference(kernel, x, y):
    return torch.from_numpy(kernel_matrix(kernel.name, x.double().numpy(), y.double().numpy(), VARIANCE))


def test_dense_matches_the_formula(backend, kernel, problem):
    products, device = backend
    x, y, _ = problem
    close(products.dense(kernel, x.to(device), y.to(device)), reference(kernel, x, y), x.dtype)


def test_dense_is_batched_over_leading_dimensions(backend, kernel, problem):
    products, device = backend
    x, y = problem[0][:40].reshape(2, 20, 3).to(device), problem[1][:26].reshape(2, 13, 3).to(device)
    batched = products.dense(kernel, x, y)
    assert batched.shape == (2, 20, 13)
    for one in range(2):
        close(batched[one], reference(kernel, x[one].cpu(), y[one].cpu()), x.dtype)


def test_apply_and_its_transpose_match_the_loop(backend, kernel, problem):
    products, device = backend
    x, y, w = problem
    K = reference(kernel, x, y)
    close(products.apply(kernel, x.to(device), y.to(device), w.to(device)), K @ w.double(), x.dtype)
    v = torch.linspace(-1, 1, len(x), dtype=x.dtype)
    close(products.apply(kernel, y.to(device), x.to(device), v.to(device)), K.T @ v.double(), x.dtype)


def test_normal_is_the_product_with_the_gram_of_the_columns(backend, kernel, problem):
    products, device = backend
    x, y, w = problem
    K = reference(kernel, x, y)
    close(products.normal(kernel, x.to(device), y.to(device), w.to(device)), K.T @ (K @ w.double()), x.dtype)


def test_segments_are_independent_problems(backend, kernel, problem):
    products, device = backend
    x, y, w = problem
    rows, columns = [0, 7, 7, 40, len(x)], [0, 20, 25, 30, len(y)]  # one problem has no rows
    segments = Segments(torch.tensor(rows).to(device), torch.tensor(columns).to(device))
    K = reference(kernel, x, y)
    mask = torch.zeros_like(K)
    for p in range(len(rows) - 1):
        mask[rows[p] : rows[p + 1], columns[p] : columns[p + 1]] = 1
    found = products.apply(kernel, x.to(device), y.to(device), w.to(device), segments)
    close(found, (K * mask) @ w.double(), x.dtype)
    value, _ = products.gradient(kernel, x.to(device), y.to(device), w.to(device), segments)
    close(value, (K * mask) @ w.double(), x.dtype)


@pytest.fixture
def poisoned(monkeypatch):
    """Memory that nothing was written to is NaN, so that no test passes by the zeros of a fresh page."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def layouts(count: int) -> list[tuple[list[int], list[int]]]:
    """Sizes of problems, many of them empty; the first has a problem of rows alone before one of both."""
    draw, found = random.Random(0), [([3, 3, 3], [4, 0, 5])]
    while len(found) < count:
        problems = draw.randint(0, 6)
        found.append(tuple([draw.choice((0, 0, 1, 3, most)) for _ in range(problems)] for most in (70, 9)))
    return found


def offsets(sizes: list[int]) -> torch.Tensor:
    return torch.tensor([0, *sizes]).cumsum(0)


def test_an_empty_problem_hides_no_other(backend, poisoned, generator):
    """Without rows, columns or both; first, last, in the middle, several in a row. No row or column is left out."""
    products, device = backend
    kernel = make_kernel("neural-spline", VARIANCE).covering(1.0, 1.0)
    for rows, columns in layouts(4 if products.name in ("triton", "keops") else 25):
        x, y = (torch.rand(sum(n), 3, generator=generator, dtype=torch.float64) - 0.5 for n in (rows, columns))
        w = torch.randn(len(y), generator=generator, dtype=torch.float64)
        blocks = [kernel(a, b) for a, b in zip(x.split(rows), y.split(columns), strict=True)] if rows else []
        expected = torch.block_diag(*blocks)[: len(x)] @ w if rows else x[:, 0]
        args = x.to(device), y.to(device), w.to(device), Segments(offsets(rows).to(device), offsets(columns).to(device))
        value, slope = products.gradient(kernel, *args)
        # A few sums in another order, of numbers of about 1.
        for found in (products.apply(kernel, *args), value):
            assert torch.allclose(found.cpu(), expected, rtol=0.0, atol=1e-11), (rows, columns)
        assert slope.shape == x.shape
        assert slope.isfinite().all(), (rows, columns)


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (0, 5), (5, 0), (1, 1), (5, 1)])
def test_products_of_nothing_are_nothing_or_zero(backend, poisoned, rows, columns, generator):
    products, device = backend
    kernel = make_kernel("neural-spline", VARIANCE).covering(1.0, 1.0)
    x, y = (torch.rand(n, 3, generator=generator, dtype=torch.float64).to(device) for n in (rows, columns))
    w, K = torch.ones(columns, dtype=torch.float64, device=device), kernel(x, y)
    value, slope = products.gradient(kernel, x, y, w)
    for found, expected in (
        (products.apply(kernel, x, y, w), K @ w),
        (value, K @ w),
        (products.normal(kernel, x, y, w), (K @ w) @ K),
        (products.dense(kernel, x, y), K),
        (products.dense(kernel, x.expand(2, -1, -1), y.expand(2, -1, -1)), K.expand(2, -1, -1)),
        (products.dense_gradient(kernel, x, y)[:, 0], K),
    ):
        assert found.shape == expected.shape
        assert torch.allclose(found, expected, rtol=0.0, atol=1e-11)
    assert slope.shape == (rows, 3)
    assert slope.isfinite().all()
    assert products.dense_gradient(kernel, x.expand(2, -1, -1), y.expand(2, -1, -1)).shape == (2, rows, 4, columns)


def test_gradient_matches_finite_differences(backend, kernel, problem):
    products, device = backend
    x, y, w = problem
    x = x[:31]  # away from columns, where the kernel has a kink
    value, slope = products.gradient(kernel, x.to(device), y.to(device), w.to(device))
    close(value, reference(kernel, x, y) @ w.double(), x.dtype)
    expected = kernel_gradient(kernel.name, x.double().numpy(), y.double().numpy(), w.double().numpy(), VARIANCE)
    error = (slope.cpu().double() - torch.from_numpy(expected)).abs().max() / abs(expected).max()
    assert error <= (1e-6 if x.dtype == torch.float64 else 1e-4)


def test_gradient_at_a_column_is_finite(backend, kernel, problem):
    products, device = backend
    _, y, w = problem
    _, slope = products.gradient(kernel, y.to(device), y.to(device), w.to(device))
    assert torch.isfinite(slope).all()


def test_rows_of_values_and_slopes_match_finite_differences(backend, kernel, problem):
    products, device = backend
    x, y = problem[0][:30].reshape(2, 15, 3), problem[1][:14].reshape(2, 7, 3)
    rows = products.dense_gradient(kernel, x.to(device), y.to(device)).cpu()
    assert rows.shape == (2, 15, 4, 7)
    for one in range(2):
        close(rows[one, :, 0], reference(kernel, x[one], y[one]), x.dtype)
        for j in range(7):
            expected = kernel_gradient(
                kernel.name, x[one].double().numpy(), y[one, j : j + 1].double().numpy(), [1.0], VARIANCE
            )
            error = (rows[one, :, 1:, j].double() - torch.from_numpy(expected)).abs().max() / abs(expected).max()
            assert error <= (1e-6 if x.dtype == torch.float64 else 1e-4)


def test_slopes_of_a_kernel_without_a_kink_vanish_sideways_at_a_column(backend, problem):
    products, device = backend
    kernel = make_kernel("neural-spline", 0.0).covering(1.0, 1.0)
    x = problem[1].to(device)
    slopes = products.dense_gradient(kernel, x, x)[:, 1:].diagonal(dim1=0, dim2=2).cpu().double().T
    close(slopes, problem[1].double(), problem[1].dtype)  # k(x, y) = X.Y there, so dk/dx = y


def test_one_formula_of_keops_matches_the_loop(generator):
    """The others are slow to compile: pytest -m slow."""
    pytest.importorskip("pykeops")
    kernel = make_kernel("neural-spline", VARIANCE)
    x, y = (torch.rand(n, 3, generator=generator, dtype=torch.float64) - 0.5 for n in (57, 43))
    w = torch.randn(43, generator=generator, dtype=torch.float64)
    found = load("keops").apply(kernel, x.to(DEVICE), y.to(DEVICE), w.to(DEVICE))
    close(found, reference(kernel, x, y) @ w, torch.float64)


def test_auto_falls_back_to_torch_where_triton_is_too_old_or_broken(monkeypatch, caplog):
    def broken(name, package):
        if name == ".triton_cuda":
            raise ImportError("needs Triton 3.4 or later\nand more")
        return import_module(name, package)

    import_module = importlib.import_module
    monkeypatch.setattr(products.importlib, "import_module", broken)
    monkeypatch.setattr(products, "_devices", lambda names: (torch.device("cuda"),))
    with caplog.at_level("WARNING"):
        assert resolve("auto", "auto").backend.name == "torch"
    assert "triton" in caplog.text
    assert "needs Triton 3.4" in caplog.text
    with pytest.raises(BackendError, match=r"needs Triton 3\.4 or later; try"):
        resolve("auto", "triton")


@pytest.mark.parametrize("radius", [1.0, 1.9, 3.1])
def test_wider_boxes_get_wider_polynomials(backend, kernel, radius, generator):
    products, device = backend
    direction = torch.randn(24, 3, generator=generator, dtype=torch.float64)
    x = radius * direction / direction.norm(dim=1, keepdim=True)
    wide = kernel.covering(radius, radius)
    found = products.dense(wide, x.to(device), x.to(device)).cpu()
    assert (found - reference(kernel, x, x)).abs().max() <= 1e-11 * found.abs().max()


@pytest.mark.parametrize("devices", [1, 2, 3])
def test_shares_of_several_devices_add_up(devices, kernel, generator, monkeypatch):
    from neural_splines.kernels.products import sharded

    monkeypatch.setattr(sharded, "SMALLEST_SHARE", 40)
    backend = load("numba")
    many = sharded.Sharded(backend, (torch.device("cpu"),) * devices)
    x, y = (torch.rand(n, 3, generator=generator, dtype=torch.float64) - 0.5 for n in (101, 7))
    w, u = (torch.randn(n, generator=generator, dtype=torch.float64) for n in (7, 101))
    assert torch.equal(many.apply(kernel, x, y, w), backend.apply(kernel, x, y, w))
    close(many.apply(kernel, y, x, u), backend.apply(kernel, y, x, u), torch.float64)
    close(many.normal(kernel, x, y, w), backend.normal(kernel, x, y, w), torch.float64)


@pytest.mark.parametrize("threads", [2, 3, 16])
def test_the_bits_do_not_depend_on_the_number_of_threads(threads, kernel, generator, monkeypatch):
    backend = load("numba")
    x, y = (torch.rand(n, 3, generator=generator, dtype=torch.float64) - 0.5 for n in (700, 50))
    w = torch.randn(50, generator=generator, dtype=torch.float64)

    def everything():
        return [backend.apply(kernel, x, y, w), backend.normal(kernel, x, y, w), backend.dense(kernel, x, y),
                *backend.gradient(kernel, x, y, w)]  # fmt: skip

    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    one = everything()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    for alone, together in zip(one, everything(), strict=True):
        assert torch.equal(alone, together)
