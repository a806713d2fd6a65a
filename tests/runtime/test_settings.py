"""Settings: what stands for a number is that number, and everything else is one line."""

import json
import math
import pickle
from argparse import ArgumentTypeError
from dataclasses import asdict, fields
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from neural_splines.command_line.scenes import size
from neural_splines.errors import SettingsError
from neural_splines.settings import CellSettings, NormalSettings, SceneSettings, Settings


class Faulty:
    def __repr__(self):
        raise RuntimeError


class Many(float):
    """A float of another kind."""


NUMBERS = [
    0, 1, 3, 64, -1, 2**31, 2**63, 10**308, 10**400, 10**5000, -(10**400), 0.5, 1e-300, math.inf, -math.inf, math.nan,
    Many(0.25), Fraction(1, 2), Fraction(3), Fraction(1, 10**400), Fraction(10**400), np.uint64(3),
    np.uint64(2**64 - 1), np.int8(64), np.float16(0.5), np.float32(0.1), np.float64(2.0),
    np.longdouble("0.5"), np.longdouble("1e4000"),
]  # fmt: skip
OTHERS = [
    True, np.True_, Decimal("0.5"), 1j, "", "auto", "none", "x\ny", b"1", [], [1], (1, 2, 3), {}, np.array(3),
    np.ones(3), np.zeros((2, 3)), torch.tensor(1.0), torch.ones(3), Faulty(), [Faulty()], object, "\ud800",
]  # fmt: skip
ALL = [(kind, f.name) for kind in (Settings, CellSettings, SceneSettings, NormalSettings) for f in fields(kind)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("kind", "name"), ALL, ids=lambda value: getattr(value, "__name__", value))
def test_a_setting_is_the_plain_value_that_was_meant_or_one_line(kind, name):
    for value in [*NUMBERS, *OTHERS]:
        line, settings = "", None
        try:
            settings = kind(**{name: value})
        except SettingsError as error:
            line = str(error)
        if settings is None:
            assert line.isprintable()
            assert len(line) < 250
            continue
        kept = getattr(settings, name)
        assert type(kept) in (int, float, str, bool, tuple)
        assert kept == () or np.array_equal(kept, value) or float(value) == kept
        assert pickle.loads(pickle.dumps(settings)) == settings
        hash(settings)
        json.dumps(asdict(settings), allow_nan=False)


def test_numbers_of_every_kind_are_taken():
    settings = Settings(seed=np.uint64(7), scale=Fraction(5, 4), regularization=np.longdouble("0.5"), dense=np.True_)
    assert settings == Settings(seed=7, scale=1.25, regularization=0.5, dense=True)
    assert NormalSettings(sensor_positions=np.eye(3)) == NormalSettings(
        sensor_positions=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("4000000000", 4_000_000_000), ("7", 7), ("7b", 7), ("4GB", 4 * 10**9), ("4gb", 4 * 10**9), ("4G", 4 * 10**9),
        ("4GiB", 4 * 2**30), ("4 gib", 4 * 2**30), (" 512  MiB ", 512 * 2**20), ("1.5KiB", 1536), ("0.3TB", 3 * 10**11),
        ("2TiB", 2**41), ("64k", 64_000), ("900719925474099.3k", 900719925474099300),
    ],
)  # fmt: skip
def test_sizes_mean_what_their_units_say(text, found):
    assert size(text) == found


@pytest.mark.parametrize(
    "text", ["", "GB", "4X", "4iB", "4Bi", "4GBB", "-4GB", "1e9", "nan", "4 G B", "4,5GB", "\u0664GB", "4PB", "4GB\n4"]
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="expected a size such as 4GB or 4GiB"):
        size(text)
