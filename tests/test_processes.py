"""benchmarks/processes.py: what a process is charged with."""

import sys

import numpy as np
import processes
import pytest

PYTHON = [sys.executable, "-S", "-c"]


def test_a_process_is_charged_with_its_own_memory_and_time():
    """Not with that of a large parent; with what it allocates; commands after each other add their times."""
    large = np.ones(40_000_000)  # 0.3 GB
    small = processes.run([[*PYTHON, "pass"]])
    assert small.GB < 0.1 < large.nbytes / 1e9
    assert processes.run([[*PYTHON, "x = b'1' * 200_000_000"]]).GB == pytest.approx(0.2 + small.GB, rel=0.15)
    busy = [*PYTHON, "import time\nwhile time.process_time() < 0.3: pass"]
    one, two = processes.run([busy]), processes.run([busy, busy])
    assert 0.3 <= one.cpu < 0.6 <= two.cpu
    assert one.wall > 0.25
    assert two.wall > 0.5


def test_a_process_that_fails_or_hangs_says_so():
    with pytest.raises(processes.ProcessError, match=r"^no mesh$"):
        processes.run([[*PYTHON, "import sys; print('a'); sys.exit('first line\\nno mesh')"]])
    with pytest.raises(processes.ProcessError, match="ended after"):
        processes.run([[*PYTHON, "import time; time.sleep(1e6)"]], limit=0.3)
