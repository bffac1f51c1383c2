from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effbench.units import (
    Flops,
    Macs,
    Unit,
    fixed_point,
    giga,
    grouped,
    mebibytes,
    mega,
    parse_cost,
    scaled,
    unit_of,
)

FACTORS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}


def test_a_mac_is_two_flops_and_the_two_do_not_mix() -> None:
    assert Macs(2**60 + 1).to_flops() == Flops(2**61 + 2)
    assert Macs(1) + Macs(2) == Macs(3)
    assert Flops(1) + Flops(2) == Flops(3)
    mac: object = Macs(2)
    assert mac != Flops(2)
    with pytest.raises(TypeError):
        Macs(1) + Flops(1)  # type: ignore[operator]
    with pytest.raises(TypeError):
        Flops(1) + Macs(1)  # type: ignore[operator]


def test_grouped_is_exact_beyond_doubles() -> None:
    assert grouped(45463084) == "45,463,084"
    assert grouped(2**53 + 1) == "9,007,199,254,740,993"


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.000 K"),
        (1234, "1.234 K"),
        (12345, "12.34 K"),  # ties to even
        (999_949, "999.9 K"),
        (999_950, "1.000 M"),  # rounding moves it to the next prefix
        (45463084, "45.46 M"),
        (4_089_184_256, "4.089 G"),
        (10**12, "1.000 T"),
        (2**53 + 1, "9.007 P"),
        (10**18, "1,000 P"),
        (-45463084, "-45.46 M"),
    ],
)
def test_scaled(n: int, text: str) -> None:
    assert scaled(n) == text


@given(st.integers(-(10**18), 10**18))
def test_scaled_is_within_half_of_its_last_digit(n: int) -> None:
    number, _, prefix = scaled(n).partition(" ")
    shown = Fraction(Decimal(number.replace(",", ""))) * FACTORS[prefix]
    assert abs(shown - n) * 2000 <= abs(n)
    assert sum(c.isdigit() for c in number) == (4 if prefix else len(str(abs(n))))


def test_columns_of_one_unit() -> None:
    assert mega(45463084) == "45.46"
    assert giga(4_089_184_256) == "4.09"
    assert mebibytes(181_859_123) == "173.43"
    assert mebibytes(10**21) == "953,674,316,406,250.00"


def test_some_work_is_never_shown_as_none() -> None:
    assert (giga(0), giga(1), giga(-1), giga(5_000_001)) == ("0.00", "<0.01", ">-0.01", "0.01")
    assert mega(4_999) == "<0.01"


@given(st.integers(-(10**30), 10**30), st.integers(0, 6))
def test_fixed_point_keeps_every_digit(digits: int, decimals: int) -> None:
    text = fixed_point(Fraction(digits, 10**decimals), decimals).replace(",", "")
    assert int(text.replace(".", "")) == digits
    assert len(text.partition(".")[2]) == decimals


@pytest.mark.parametrize(
    ("value", "unit", "count"),
    [
        (0.122993904, "GFLOP", 122_993_904),  # in binary: 122993903.99999999
        (4.1, "GMAC", 4_100_000_000),
        (4089, "MMAC", 4_089_000_000),
        (1e-7, "TFLOP", 100_000),
        (0, "MAC", 0),
        (2**70 + 1, "KFLOP", (2**70 + 1) * 1000),
    ],
)
def test_parse_cost(value: float, unit: str, count: int) -> None:
    assert parse_cost(value, unit) == count


def test_parse_cost_reads_numpy_cells() -> None:
    assert parse_cost(np.float64(0.122993904), "GFLOP") == 122_993_904
    assert parse_cost(np.int64(2**53 + 1), "MAC") == 2**53 + 1  # type: ignore[arg-type]


@given(st.integers(0, 10**15 - 1), st.sampled_from("KMGT"), st.sampled_from(Unit))
def test_a_published_figure_comes_back_exactly(count: int, prefix: str, unit: Unit) -> None:
    # A double holds any 15 decimal digits.
    published = float(Decimal(count) / FACTORS[prefix])
    assert parse_cost(published, prefix + unit.value) == count
    assert unit_of(prefix + unit.value) == (unit, FACTORS[prefix])


@pytest.mark.parametrize(
    ("value", "unit", "message"),
    [
        (1.0, "gmac", "unknown unit 'gmac': use one of MAC, KMAC, MMAC, GMAC, TMAC, FLOP"),
        (1.5, "MAC", "1.5 MAC is not a whole number of MACs"),
        (1.23456789e-1, "MFLOP", "0.123456789 MFLOP is not a whole number of FLOPs"),
        (float("nan"), "GMAC", "nan GMAC is not a cost"),
        (float("inf"), "GMAC", "inf GMAC is not a cost"),
        (-1.0, "GMAC", "-1.0 GMAC is not a cost"),
    ],
)
def test_parse_cost_says_what_is_wrong(value: float, unit: str, message: str) -> None:
    with pytest.raises(ValueError, match="^" + message.replace(".", r"\.")) as caught:
        parse_cost(value, unit)
    assert "\n" not in str(caught.value)


def test_a_unit_is_not_built_of_another_one() -> None:
    for wrong in (Macs(1), Flops(1), 1.0, True, "1", np.int64(1)):
        with pytest.raises(TypeError, match="Flops counts in integers"):
            Flops(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="Macs counts in integers"):
            Macs(wrong)  # type: ignore[arg-type]
    assert Flops(-1) + Flops(1) == Flops(0)
