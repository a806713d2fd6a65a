"""Workers: what one loses another does, and what cannot go on is one line."""

from types import SimpleNamespace

import pytest
import torch
from worker_tasks import die, square

from neural_splines.errors import BackendError, CloudError, OutOfMemoryBudgetError
from neural_splines.run import in_parts, workers


def test_what_a_lost_worker_did_is_done_again(tmp_path):
    shared = {"folder": str(tmp_path), "lethal": 3, "flag": str(tmp_path / "flag")}
    counts = []
    with workers.workers(2, None, ("one", "other"), "1") as team:
        team.run(square, shared, range(8), counts.append)
        assert counts[-1] == 8
        assert [(tmp_path / str(k)).read_text() for k in range(8)] == [str(k * k) for k in range(8)]
        assert {path.name for path in tmp_path.glob("by-*")} <= {"by-one", "by-other"}
        with pytest.raises(CloudError, match="named: is wrong"):
            team.run(square, shared, ["wrong"], counts.append)


def test_processes_take_all_gpus_unless_some_are_named(monkeypatch):
    gpus = tuple(torch.device("cuda", index) for index in range(3))
    monkeypatch.setattr(in_parts, "resolve", lambda device: SimpleNamespace(devices=gpus))

    def names(asked, *devices):
        return in_parts.gpus(asked, SimpleNamespace(device=devices[0], devices=devices))

    assert names("auto", gpus[0]) == ["cuda:0", "cuda:1", "cuda:2"]
    assert names("cuda:1", gpus[1]) == ["cuda:1"]
    assert names("cuda:2,cuda:0", gpus[2], gpus[0]) == ["cuda:2", "cuda:0"]
    assert names("auto", torch.device("cpu")) == []
    queue = workers.Processes(5, ("one", "other")).deal()
    assert queue == ["one", "other", "one", "other", "one"]
    assert workers.Processes(2).deal() == [None, None]


def test_workers_that_die_again_and_again_are_one_line(monkeypatch):
    monkeypatch.setattr(workers, "LOST", 1)
    with workers.workers(2, None, (), "1") as team:
        with pytest.raises(OutOfMemoryBudgetError, match="use fewer --workers or a smaller --max-memory"):
            team.run(die, None, [1], list)


@pytest.mark.parametrize(("theirs", "line"), [("0.2.0", "has neural-splines 0.2.0, this is 1"), (ImportError(), "no")])
def test_a_worker_of_another_version_is_one_line(theirs, line):
    cluster = object.__new__(workers.Cluster)
    cluster._client = SimpleNamespace(
        wait_for_workers=lambda *_, **__: None, run=lambda *_, **__: {"tcp://there:1": theirs}, close=lambda **_: None
    )
    with pytest.raises(BackendError, match=f"the worker tcp://there:1 has {line.removeprefix('has ')}"):
        cluster._check("tcp://here:1", "1")
    cluster._client.run = lambda *_, **__: {"tcp://there:1": "1"}
    cluster._check("tcp://here:1", "1")


def test_a_scheduler_that_is_not_there_is_one_line(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "CONNECT_SECONDS", 0.2)
    with pytest.raises(BackendError, match="no scheduler answers"):
        workers.Cluster("tcp://127.0.0.1:9", "1")
