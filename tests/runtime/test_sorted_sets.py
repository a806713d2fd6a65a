"""Sorted sets of integers against what a sort and a search give."""

import pytest
import torch

from neural_splines.runtime.sorted_sets import places, union


def ids(count, generator):
    return torch.randint(60, (count,), generator=generator).sort().values


@pytest.mark.parametrize("counts", [(7,), (0,), (0, 0), (5, 0), (0, 5), (30, 40), (1, 50, 0, 9), (20, 20, 20, 20, 20)])
def test_a_union_has_every_member_once_and_in_order(counts, generator):
    sets = [ids(count, generator) for count in counts]
    assert torch.equal(union(*sets), torch.unique(torch.cat(sets)))


@pytest.mark.parametrize("count", [0, 1, 2, 40])
@pytest.mark.parametrize("columns", [(), (3,)])
def test_places_are_those_of_a_search(count, columns, generator):
    """Also of what is not in the table, or beyond its ends; each column from its start."""
    table = torch.unique(ids(count, generator))
    wanted = torch.randint(-5, 70, (25, *columns), generator=generator).sort(0).values
    assert torch.equal(places(wanted, table), torch.searchsorted(table, wanted))
    far = torch.arange(0, 3000, 7)  # many steps at a time
    assert torch.equal(places(far[::50], far), torch.arange(len(far))[::50])
