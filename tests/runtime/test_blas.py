"""NumPy's linear algebra has one thread a call where threads share out the calls, and the caller's number after."""

import numpy as np
import pytest
import torch
from threadpoolctl import ThreadpoolController

from neural_splines.runtime.blas import one_thread_each
from neural_splines.spline.solvers import direct


def counts() -> list[int]:
    return [library.num_threads for library in ThreadpoolController().select(internal_api="openblas").lib_controllers]


def test_the_number_of_threads_is_the_callers_again_also_after_an_error():
    before = counts()
    with one_thread_each():
        assert set(counts()) <= {1}
        with one_thread_each():
            pass
        assert set(counts()) <= {1}
    assert counts() == before
    with pytest.raises(ZeroDivisionError), one_thread_each():
        1 / 0  # noqa: B018
    assert counts() == before


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", [(3, 40, 17), (1, 1, 5), (2, 8, 1), (0, 4, 3)])
def test_gram_matrices_are_sums_over_rows_and_symmetric(shape, dtype):
    b, n, m = shape
    generator = torch.Generator().manual_seed(1)
    K = torch.randn(b, n, m, generator=generator, dtype=torch.float64)
    weights = torch.rand(b, n, generator=generator, dtype=torch.float64) * (torch.arange(n) % 3 > 0)
    expected = np.einsum("bni,bn,bnj->bij", K.numpy(), weights.numpy(), K.numpy())
    found = direct.gram(K.to(dtype), weights.to(dtype))
    assert found.dtype == dtype
    assert torch.equal(found, found.mT)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-4
    np.testing.assert_allclose(found.numpy(), expected, rtol=tolerance, atol=tolerance)
    kinds = K.to(dtype)[:, : n - n % 4].unflatten(1, (-1, 4)).unbind(2)
    expected = np.einsum("bni,bnj->bij", *2 * [K[:, : n - n % 4].numpy()])
    np.testing.assert_allclose(direct.gram_of_rows(kinds).numpy(), expected, rtol=tolerance, atol=tolerance)
