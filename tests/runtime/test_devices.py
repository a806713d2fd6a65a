"""Work dealt out keeps its order, and what is moved keeps the rest."""

import time

import pytest
import torch

from neural_splines.runtime.devices import map_on_devices
from neural_splines.runtime.threads import parallel_map

CPU = torch.device("cpu")


@pytest.mark.parametrize("devices", [1, 2, 3, 7])
@pytest.mark.parametrize("items", [0, 1, 5, 12])
def test_results_come_in_the_order_of_the_items(devices, items):
    assert map_on_devices([CPU] * devices, lambda device, item: (device, item**2), range(items)) == [
        (CPU, k**2) for k in range(items)
    ]


def test_an_error_in_a_thread_is_raised():
    with pytest.raises(ValueError, match="3"):
        map_on_devices([CPU] * 2, lambda device, item: [][:item] if item < 3 else int("x3"), range(5))


def test_work_shared_out_to_threads_comes_back_in_order():
    """Each item once, each by a thread that computes alone; what fails is raised, and the threads are as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        found = parallel_map(lambda k: (time.sleep(0.01 * (7 - k)), k, torch.get_num_threads())[1:], range(7))
        assert found == [(k, 1) for k in range(7)]
        assert torch.get_num_threads() == 3
        with pytest.raises(ZeroDivisionError):
            parallel_map(lambda k: 1 // k, [2, 1, 0])
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
