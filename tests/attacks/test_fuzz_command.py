"""A few of the runs of tests/fuzz_command.py, always the same, and those that once broke a promise."""

from __future__ import annotations

import fuzz_command
import pytest
from fuzz_command import PARSERS, broken, parser_of, runs
from hypothesis import HealthCheck, given, settings


@settings(max_examples=25, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(runs)
def test_any_arguments_end_as_they_should(command):
    assert broken(*command) is None


@pytest.mark.parametrize(
    ("script", "cloud", "words"),
    [
        # every cell left out: an IndexError from within
        ("fit-grid.py", "ball", ["auto", "50", "12", "auto", "--min-pts-per-cell", "1000000000"]),
        ("fit.py", "ball", ["1e308", "50", "12"]),
        # both points held out of the choice of smoothing: a RuntimeError from within
        ("fit-grid.py", "two", ["auto", "1", "5", "auto", "--seed", "39"]),
    ],
)
def test_what_once_broke_a_promise(script, cloud, words):
    assert broken(script, cloud, words) is None


def test_a_surface_between_clusters_ends_where_memory_does(monkeypatch):
    """The blend of far cells went on through the whole box, for minutes and then out of memory."""
    monkeypatch.setattr(fuzz_command, "FREE", 2 * 10**7)
    assert broken("fit-grid.py", "crowd", ["0.1", "20", "1000", "3"]) is None


@pytest.mark.parametrize("script", PARSERS)
def test_the_grammar_is_the_parsers(script):
    options = {word for action in parser_of(script)._actions for word in action.option_strings}
    assert {"--out", "--seed", "--trim", "--device"} <= options
    assert ("--points-per-cell" in options) == (script == "fit-grid.py")
