"""Some mutated files of every format, always the same, by the fuzzer that docs/results/robustness.md counts more of."""

import random
from importlib.util import find_spec

import fuzz_files
import pytest
from fuzz_seeds import SUFFIXES, e57_pages, seeds

NEEDED = {".las": "laspy", ".laz": "laspy", ".e57": "pye57"}


@pytest.fixture(scope="module")
def process():
    with fuzz_files.worker() as found:
        yield found


def of_format(suffix: str) -> str:
    if suffix in NEEDED and not find_spec(NEEDED[suffix]):
        pytest.skip(f"without {NEEDED[suffix]}")
    return suffix


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_mutated_files_end_in_a_cloud_or_one_line(suffix, process):
    rng = random.Random(f"suite{of_format(suffix)}")
    for _ in range(30):
        data = fuzz_files.attack(suffix, rng)
        assert process.try_(suffix, data)[0] is None, data


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_that_nobody_mutated_are_read(suffix, process):
    """And E57 keeps its checksums where the fuzzer makes them anew."""
    for data in seeds(of_format(suffix)):
        wrong, outcomes = process.try_(suffix, e57_pages(data) if suffix == ".e57" else data)
        assert wrong is None
        assert any(name.endswith(" read") for name in outcomes)
