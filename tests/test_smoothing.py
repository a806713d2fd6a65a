"""The choice of smoothing: the least distance of held-out points, of two that do not differ the smoother one."""

import pytest
import torch
from test_several_devices import ONE, problem_on

from neural_splines.cells import batches, smoothing


@pytest.fixture
def choice(monkeypatch):
    """choice(distances): what is chosen where held-out points lie so far from the surface at each level."""

    def choose(distances: list[float]) -> tuple[int, set[int]]:
        solve, asked = batches.Batch.solve, []

        def recorded(batch, level, *args):
            asked.append(smoothing.LADDER.index(level))
            return solve(batch, level, *args)

        monkeypatch.setattr(batches.Batch, "solve", recorded)
        monkeypatch.setattr(smoothing, "_trimmed_mean", lambda values: distances[asked[-1]])
        found = smoothing.choose_smoothing(problem_on((ONE,)), torch.Generator().manual_seed(0))
        monkeypatch.setattr(batches.Batch, "solve", solve)
        assert found.scores == {smoothing.LADDER[level]: distances[level] for level in sorted(set(asked))}
        assert found.score == found.scores[found.smoothing]
        return smoothing.LADDER.index(found.smoothing), set(asked)

    return choose


LEVELS = range(len(smoothing.LADDER))


@pytest.mark.parametrize("best", LEVELS)
def test_the_minimum_is_found_wherever_it_lies(best, choice):
    found, asked = choice([1.0 + abs(level - best) for level in LEVELS])
    assert found == best
    assert {level for level in (best - 1, best, best + 1) if level in LEVELS} <= asked


@pytest.mark.parametrize(("second", "chosen"), [(1.0 + 0.9 * smoothing.AS_GOOD, 5), (1.0 + 1.1 * smoothing.AS_GOOD, 4)])
def test_of_two_that_do_not_differ_the_smoother_is_chosen(second, chosen, choice):
    distances = [2.0 + abs(level - 4) for level in LEVELS]
    distances[4], distances[5] = 1.0, second
    assert choice(distances)[0] == chosen


def test_the_mean_leaves_out_the_largest_distances():
    values = torch.cat([torch.ones(90), torch.full((10,), 1e9)])
    assert smoothing._trimmed_mean(values[torch.randperm(100)]) == 1.0
    assert smoothing._trimmed_mean(torch.tensor([3.0])) == 3.0
    assert smoothing._trimmed_mean(torch.zeros(0)) == float("inf")


def test_held_out_points_are_not_fitted(monkeypatch):
    """About 15 % of a cell's own points judge it and take no part in its fit; those in its padding do not judge."""
    seen = {}

    def judged(problem, batch, solution, judges, solved):
        seen["judges"], seen["training"], seen["cells"] = judges, problem.members, problem.cells
        return torch.ones(1, dtype=torch.float64)

    monkeypatch.setattr(smoothing, "_held_out_distances", judged)
    problem = problem_on((ONE,))
    smoothing.choose_smoothing(problem, torch.Generator().manual_seed(0))
    judges, training, cells = seen["judges"], seen["training"], seen["cells"]
    total = len(problem.cloud.points)
    for c in range(len(cells)):
        held = judges.point[judges.starts[c] : judges.starts[c] + judges.counts[c]]
        fitted = training.point[training.starts[c] : training.starts[c] + training.counts[c]]
        assert not set(held.tolist()) & set(fitted.tolist())
        x = problem.cloud.points[held]
        assert ((x >= cells.lower[c]) & (x < cells.upper[c])).all()  # its own
    assert 0.5 * smoothing.HELD_OUT * total * len(cells) / len(problem.cells) < len(judges.point)
    assert len(judges.point) < 1.5 * smoothing.HELD_OUT * total * len(cells) / len(problem.cells)
    assert len(torch.unique(judges.point)) == len(judges.point)
