"""How readable pages are: words outside code and tables, words a sentence, Flesch reading ease.

    python benchmarks/readability.py docs/*.md
    python benchmarks/readability.py docs/*.md --before REVISION    beside what the pages were at a git revision
    python benchmarks/readability.py README.md docs/*.md --before REVISION --document docs/results/readability.md

Flesch reading ease = 206.835 - 1.015 words / sentences - 84.6 syllables / words: 60 to 70 is plain English, 30 to 50 is
hard. A syllable is a group of vowels, without a silent e at the end. Code and formulas between backticks count as one
word of one syllable.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from documents import put

BLOCKS = re.compile(r"^```.*?^```[^\n]*$|<!--.*?-->", re.DOTALL | re.MULTILINE)
SENTENCE = re.compile(r"(?<=[.!?])[\"')*]*\s+(?=[\"'(*]*[A-Z0-9])")
WORD = re.compile(r"[A-Za-z0-9][\w'.,/^+-]*")


@dataclass(frozen=True)
class Readability:
    """Words of the page; of these in prose; words a sentence; sentences of more than 30 words; Flesch reading ease."""

    words: int
    prose: int
    per_sentence: float
    long: int
    ease: float


def sentences(page: str) -> list[str]:
    """Of the prose of a page in Markdown: a paragraph or an item of a list ends one, too."""
    page = BLOCKS.sub("\n\n", page)
    page = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", page)
    page = re.sub(r"`[^`\n]*(?:\n[^`\n]+)?`", "Code", page)
    page = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", page)
    blocks = [""]
    for line in page.splitlines():
        if line.startswith(("|", "#")) or not line.strip():
            blocks.append("")
        elif re.match(r"\s*(?:[-*]|\d+\.) ", line):
            blocks.append(re.sub(r"^\s*(?:[-*]|\d+\.) ", "", line))
        else:
            blocks[-1] += " " + line
    found = [sentence for block in blocks for sentence in SENTENCE.split(block.strip())]
    return [sentence for sentence in found if WORD.search(sentence)]


def syllables(word: str) -> int:
    """Groups of vowels, without a silent e at the end; at least one."""
    word = re.sub(r"[^a-z]", "", word.lower())
    word = re.sub(r"(?<=[^aeiouyl])e$|(?<=[aeiouy]l)e$|(?<=[^aeiouytd])ed$", "", word)
    return max(1, len(re.findall(r"[aeiouy]+", word)))


def measure(page: str) -> Readability:
    """Of a page in Markdown."""
    text = sentences(page)
    words = [WORD.findall(sentence) for sentence in text]
    count = sum(map(len, words))
    if not count:
        return Readability(len(page.split()), 0, 0.0, 0, 0.0)
    each = count / len(text)
    ease = 206.835 - 1.015 * each - 84.6 * sum(syllables(w) for sentence in words for w in sentence) / count
    return Readability(len(page.split()), count, each, sum(len(sentence) > 30 for sentence in words), ease)


def row(name: str, pages: list[Readability]) -> str:
    """A line of the table."""
    columns = (
        [f"{p.words:,}" for p in pages],
        [f"{p.prose:,}" for p in pages],
        [f"{p.per_sentence:.1f}" for p in pages],
        [str(p.long) for p in pages],
        [f"{p.ease:.0f}" for p in pages],
    )
    return f"| {name} | " + " | ".join(" -> ".join(column) for column in columns) + " |"


def at(path: Path, revision: str) -> str:
    """A file as it was at a git revision; empty where it was not there."""
    path = path.resolve()
    shown = subprocess.run(
        ["git", "show", f"{revision}:./{path.name}"], cwd=path.parent, capture_output=True, text=True, check=False
    )
    return shown.stdout


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--before", metavar="REVISION", help="a git revision to compare with")
    parser.add_argument("--document", type=Path, metavar="FILE", help="put the table in here, between its two marks")
    asked = parser.parse_args(arguments)
    lines = [
        "| page | words | of these in prose | words a sentence | sentences over 30 words | Flesch reading ease |",
        "|---|---|---|---|---|---|",
    ]
    every: list[list[str]] = []
    for path in asked.pages:
        texts = [at(path, asked.before)] if asked.before else []
        texts.append(path.read_text(encoding="utf-8"))
        every.append(texts)
        lines.append(row(path.name, [measure(text) for text in texts]))
    lines.append(row("all", [measure("\n\n".join(texts)) for texts in zip(*every, strict=True)]))
    if asked.document:
        put(asked.document, "\n".join(lines))
    else:
        print(*lines, sep="\n")


if __name__ == "__main__":
    main()
