"""Write a lock file: all packages of a requirements file, their versions and the hashes of their archives.

    python requirements/make_lock.py requirements/requirements-dev.txt > requirements/lock-dev-cp311-linux.txt

pip resolves the file without installing anything and reports what it would take (`pip install --dry-run --report`). A
lock file is for one Python and one system, because archives are; the name says which.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = ["-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report"]


def resolved(requirements: str) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run([sys.executable, *COMMAND, str(report), "-r", requirements], check=True, stdout=sys.stderr)
        return json.loads(report.read_text())["install"]


def lock(requirements: str) -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    lines = [
        f"# For those who want what was tested, to the byte: {Path(requirements).name}, on Linux (x86-64) with Python",
        f"# {version}, as make_lock.py writes it. pip refuses an archive with another hash:",
        "#",
        "#     pip install --require-hashes -r <this file>, with the index that requirements-cpu.txt names",
        "",
    ]
    for item in sorted(resolved(requirements), key=lambda item: item["metadata"]["name"].lower()):
        (digest,) = item["download_info"]["archive_info"]["hashes"].items()
        name = item["metadata"]["name"].lower().replace("_", "-")
        lines += [f"{name}=={item['metadata']['version']} \\", f"    --hash={digest[0]}:{digest[1]}"]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.stdout.write(lock(sys.argv[1]))
