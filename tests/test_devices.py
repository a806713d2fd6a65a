"""Work dealt out keeps its order, and what is moved keeps the rest."""

import pytest
import torch

from neural_splines.runtime.devices import spread

CPU = torch.device("cpu")


@pytest.mark.parametrize("devices", [1, 2, 3, 7])
@pytest.mark.parametrize("items", [0, 1, 5, 12])
def test_results_come_in_the_order_of_the_items(devices, items):
    assert spread([CPU] * devices, lambda device, item: (device, item**2), range(items)) == [
        (CPU, k**2) for k in range(items)
    ]


def test_an_error_in_a_thread_is_raised():
    with pytest.raises(ValueError, match="3"):
        spread([CPU] * 2, lambda device, item: [][:item] if item < 3 else int("x3"), range(5))
