"""benchmarks/readability.py: counts of words, sentences and syllables, by hand."""

import subprocess

import documents
import pytest
import readability

PAGE = """# A heading that is not counted

One two three four. Five `code that
is one word` six
seven!

| a table | that is not |
|---|---|

- An item without a full stop
- [Another one](somewhere.md), with .75 or 1.5 numbers. And `one` more.

```bash
not this.
```
"""


def test_sentences_are_those_of_the_prose():
    assert readability.sentences(PAGE) == [
        "One two three four.",
        "Five Code six seven!",
        "An item without a full stop",
        "Another one, with .75 or 1.5 numbers.",
        "And Code more.",
    ]


@pytest.mark.parametrize(
    ("word", "count"),
    [("the", 1), ("cell", 1), ("table", 2), ("made", 1), ("place", 1), ("fitted", 2), ("turned", 1), ("spacing", 2)],
)
def test_syllables(word, count):
    assert readability.syllables(word) == count


def test_the_reading_ease_of_a_short_sentence():
    """Six words of one syllable in one sentence: 206.835 - 1.015 * 6 - 84.6."""
    found = readability.measure("The cat sat on the mat.")
    assert (found.words, found.prose, found.per_sentence, found.long) == (6, 6, 6.0, 0)
    assert found.ease == pytest.approx(206.835 - 1.015 * 6 - 84.6)
    hard = readability.measure("Unquestionably, regularization characterizes approximation capabilities.")
    assert hard.ease < 0


def test_a_page_is_compared_with_what_it_was(tmp_path, capsys):
    page = tmp_path / "page.md"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(tmp_path)]
    page.write_text("One two three four five six seven eight.\n")
    for command in (["init", "-q"], ["add", "page.md"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    page.write_text("One two. Three four.\n")
    readability.main([str(page), "--before", "HEAD"])
    assert "| page.md | 8 -> 4 | 8 -> 4 | 8.0 -> 2.0 | 0 -> 0 |" in capsys.readouterr().out
    table = tmp_path / "table.md"
    table.write_text(f"before\n{documents.BEGIN}\n{documents.END}\nafter\n")
    readability.main([str(page), "--before", "HEAD", "--document", str(table)])
    assert "| all | 8 -> 4 | 8 -> 4 | 8.0 -> 2.0 | 0 -> 0 |" in table.read_text()
