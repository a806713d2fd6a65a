"""README.md's tables name the options that exist, and its links lead somewhere; its Python example: test_api.py."""

import re

from scripts import ROOT, run

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_option_is_documented_and_exists():
    helps = "".join(run(script, "--help").out for script in ("fit.py", "fit-grid.py", "trim-surface.py"))
    offered = set(re.findall(r"--[a-z][a-z-]+", helps)) - {"--help"}
    documented = set(re.findall(r"--[a-z][a-z-]+", README)) - {"--extra-index-url"}  # of pip
    assert offered <= documented, f"not in README.md: {offered - documented}"
    assert documented <= offered, f"no such option: {documented - offered}"


def test_every_file_that_the_readme_links_to_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert "://" in target or (ROOT / target).exists(), target
