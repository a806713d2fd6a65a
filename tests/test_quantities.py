"""Numbers as a person writes them: they keep their value, say no more than is known, and add up."""

import math
import random
import re

import pytest

from neural_splines import quantities
from neural_splines.quantities import counted, duration, number, percentages, plain, quantity
from neural_splines.runtime import phases

RAISED = {ord(raised): plain_ for raised, plain_ in zip("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789", strict=True)}


def value_of(text: str) -> float:
    mantissa, _, power = text.replace(",", "").partition(f"{quantities.TIMES}10")
    return float(mantissa) * 10.0 ** int(power.translate(RAISED) or 0)


@pytest.mark.parametrize("digits", [1, 2, 3, 6])
def test_numbers_keep_their_value_to_so_many_digits(digits):
    generator = random.Random(0)
    for _ in range(2000):
        value = generator.choice((-1, 1)) * 10.0 ** generator.uniform(-15, 15)
        for write in (number, plain):
            text = write(value, digits)
            assert "e" not in text
            assert value_of(text) == pytest.approx(value, rel=0.5001 * 10.0 ** (1 - digits))
            figures = re.sub(r"\D", "", text.partition(quantities.TIMES)[0]).lstrip("0").rstrip("0")
            assert len(figures) <= digits


def test_numbers_are_short_where_they_can_be():
    assert [number(v) for v in (0.0, 1.0, 0.0032, 12345.678, 0.1 + 0.2, 1e-5)] == [
        "0", "1", "0.0032", "12,300", "0.3", f"1{quantities.TIMES}10⁻⁵",
    ]  # fmt: skip
    assert plain(1e-5) == "0.00001"
    assert plain(9.996) == "10"
    assert [number(v) for v in (math.nan, math.inf)] == ["none", "infinite"]


def test_lengths_have_the_unit_that_suits_them():
    assert quantity(0.0032, "m") == "3.2 mm"
    assert quantity(0.99999, "m") == "1 m"
    assert quantity(1234.0, "m") == "1.23 km"
    assert quantity(0.0032, "mm") == "0.0032 mm"
    assert quantity(0.0032) == "0.0032"
    assert quantity(-2e-6, "m").endswith("m")


def test_one_is_not_several():
    assert counted(1, "node") == "1 node"
    assert counted(0, "node") == "0 nodes"
    assert counted(12345, "vertex", "vertices") == "12,345 vertices"


def test_times_are_read_as_they_are_said():
    said = {
        0.0: "0.0 s",
        0.041: "0.04 s",
        3.21: "3.2 s",
        9.96: "10 s",
        21.4: "21 s",
        119.4: "119 s",
        141.2: "2 min 21 s",
    }
    assert {seconds: duration(seconds) for seconds in said} == said
    assert duration(3900) == "1 h 5 min"
    assert duration(3599.9) == "1 h"
    assert duration(7200) == "2 h"


def test_shares_add_up():
    generator = random.Random(1)
    for count in (1, 2, 3, 7, 30):
        values = [generator.random() ** 5 for _ in range(count)]
        found = percentages(values)
        assert sum(found) == 100
        assert all(abs(share - 100 * value / sum(values)) < 1 for share, value in zip(found, values, strict=True))
    assert percentages([]) == []
    assert percentages([0.0, 0.0]) == [0, 0]


def test_phases_are_told_by_what_they_are_for():
    """Every second is somewhere; what hardly takes time is told together."""
    seconds = {"read": 1.0, "signs": 20.0, "neighbours": 10.0, "fit": 5.0, "mesh": 60.0, "write": 0.2, "compare": 0.1}
    found = phases.shares(seconds)
    assert [name for name, _, _ in found] == ["normals", "fit", "surface", phases.REST]
    assert sum(took for _, took, _ in found) == pytest.approx(sum(seconds.values()))
    assert sum(share for _, _, share in found) == 100
    line = phases.summary(seconds)
    assert line == "96 s: normals 30 s (31%), fit 5.0 s (5%), surface 60 s (62%), the rest 1.3 s (2%)"
    assert phases.summary({}) == "0.0 s"
    assert phases.shares({"another": 1.0}) == [("another", 1.0, 100)]
