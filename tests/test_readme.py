"""README.md's Python example runs as it stands, and its tables name the options that exist."""

import re
import shutil

from scripts import ROOT, run

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "knot.ply", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert (tmp_path / "knot.ply").stat().st_size > 100_000


def test_every_option_is_documented_and_exists():
    helps = "".join(run(script, "--help").out for script in ("fit.py", "fit-grid.py", "trim-surface.py"))
    offered = set(re.findall(r"--[a-z][a-z-]+", helps)) - {"--help", "--use-abs-units"}
    documented = set(re.findall(r"--[a-z][a-z-]+", README))
    assert offered <= documented, f"not in README.md: {offered - documented}"
    assert documented <= offered, f"no such option: {documented - offered}"


def test_every_file_that_the_readme_links_to_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
