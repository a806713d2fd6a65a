"""Running the scripts in this process, as a user would from a shell."""

import contextlib
import importlib.util
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.files.meshes import save_mesh
from neural_splines.run import cost
from neural_splines.runtime import progress

# A busy machine does not change what a test reads: here neither is said; of other processes see `complaints`.
progress.LINE_SECONDS = cost.WORTH_SAYING = math.inf
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


def run(script: str, *args) -> Outcome:
    """main() of a script with these arguments; its exit code and what it printed."""
    spec = importlib.util.spec_from_file_location("script", ROOT / script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return captured(module.main, *args)


def captured(main, *args) -> Outcome:
    """What a call of a command's main() printed, and its exit code."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(a) for a in args])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return Outcome(code, out.getvalue(), err.getvalue())


def complaints(stderr: str) -> list[str]:
    """The lines of standard error without those that come when the clock says: of progress, and of long work."""
    return [line for line in stderr.splitlines() if not re.search(r": \d+% after \d+ s|: this will take about ", line)]


def write_cloud(path, cloud: OrientedCloud) -> Path:
    save_mesh(path, cloud.points, cloud.normals, np.empty((0, 3), int))
    return Path(path)


def with_table(page: str, start: str, end: str, table: str) -> str:
    """The page with a new table between its two marks."""
    before, rest = page.split(start)
    return f"{before}{start}\n\n{table}\n\n{end}{rest.split(end)[1]}"
