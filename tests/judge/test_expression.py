"""Formulas and filters of users: what they compute, in Python's own arithmetic, and that nothing else gets through."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from effbench.errors import InputError
from effbench.judge.expression import filter_of, formula_of
from effbench.judge.terms import TERMS, Floats

ONE = {"params": 4.0, "macs": 10.0, "flops": 20.0, "latency": 0.5, "memory": 8.0, "error": 0.25}


def arrays(**figures: float | list[float] | list[list[float]]) -> dict[str, Floats]:
    return {name: np.asarray(value, dtype=np.float64) for name, value in figures.items()}


def value(text: str, figures: Mapping[str, float] = ONE) -> float:
    return float(formula_of(text).value(arrays(**figures)))


# Values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("params", 4.0),
        ("params + macs * latency", 4 + 10 * 0.5),
        ("(params + macs) * latency", 7.0),
        ("params - macs - flops", 4 - 10 - 20),
        ("params / macs / latency", 4 / 10 / 0.5),
        ("params ** 2 ** latency", 4 ** (2**0.5)),
        ("-params ** 2", -16.0),
        ("(-params) ** 3", -64.0),
        ("params ** -0.5", 0.5),
        ("+params--macs", 14.0),
        ("5e6 * params + .5 + 1.", 2e7 + 1.5),
        ("exp(latency) + log(macs)", math.exp(0.5) + math.log(10)),
        ("log2(params) + log10(macs) + sqrt(params)", 2 + 1 + 2),
        ("min(params, macs, latency) + max(params, macs)", 0.5 + 10),
        ("abs(params - macs)", 6.0),
        ("  params\n * \t macs ", 40.0),
        ("20*log10((100 - 100*error)**2 / (sqrt(params)*sqrt(macs)))", 20 * math.log10(75**2 / math.sqrt(40))),
        ("0 * params", 0.0),
        ("(params - params) ** 0", 1.0),
        ("max(params - macs, macs - params)", 6.0),
        ("min(params - macs, -1)", -6.0),
    ],
)
def test_values_by_hand(text: str, expected: float) -> None:
    assert value(text) == pytest.approx(expected, rel=1e-13, abs=1e-13)


numbers = st.integers(0, 20).map(str) | st.sampled_from(["0.5", "2.25", "1e3", "1e-3"])
leaves = (numbers | st.sampled_from(["params", "macs", "latency", "error"])).map(lambda text: (text, text))
Pair = tuple[str, str]


def combined(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    """Pairs of a formula and the same in Python, whose power of a negative number is made an error, not complex."""

    def binary(a: Pair, op: str, b: Pair) -> Pair:
        ours, theirs = (f"({left}) {op} ({right})" for left, right in zip(a, b, strict=True))
        return ours, (f"pow({a[1]}, {b[1]})" if op == "**" else theirs)

    def called(name: str, *args: Pair) -> Pair:
        ours, theirs = (f"{name}({', '.join(texts)})" for texts in zip(*args, strict=True))
        return ours, theirs

    functions = st.sampled_from(["exp", "log", "log2", "log10", "sqrt", "abs", "-"])
    return (
        st.builds(binary, inner, st.sampled_from(["+", "-", "*", "/", "**"]), inner)
        | st.builds(called, functions, inner)
        | st.builds(called, st.sampled_from(["min", "max"]), inner, inner)
    )


PYTHON = {
    "exp": math.exp, "log": math.log, "log2": math.log2, "log10": math.log10, "sqrt": math.sqrt,
    "abs": abs, "min": min, "max": max, "pow": math.pow,
}  # fmt: skip


@given(
    texts=st.recursive(leaves, combined, max_leaves=8),
    params=st.floats(1e-3, 1e9),
    latency=st.floats(1e-4, 10),
    error=st.floats(0, 1),
)
def test_the_value_is_python_s_own(texts: Pair, params: float, latency: float, error: float) -> None:
    """Python computes the same, where its doubles reach."""
    text, same = texts
    figures = {"params": params, "macs": 3.0, "latency": latency, "error": error}
    try:
        formula = formula_of(text)
    except InputError:
        assume(False)
    try:
        expected = eval(same, {"__builtins__": {}}, {**PYTHON, **figures})
    except (ValueError, ZeroDivisionError):
        expected = math.nan
    except OverflowError:
        return
    if abs(expected) == math.inf or 0 < abs(expected) < 1e-290:
        return
    found = float(formula.value(arrays(**figures)))
    order = float(formula.order(arrays(**figures)))
    assert math.isnan(found) == math.isnan(order)
    # What was cancelled on the way cannot be asked back: the size of the parts bounds the error.
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6, nan_ok=True)
    if found > 1e-200 and formula.never_negative:
        assert order == pytest.approx(math.log(found), rel=1e-12, abs=1e-12)
    elif not formula.never_negative and not math.isnan(found):
        assert order == pytest.approx(math.copysign(math.log1p(abs(found)), found), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "figures", "expected"),
    [
        # ln(p · e^(10·e)) = ln p + 10·e
        ("params * exp(10*error)", {"params": 5e6, "error": 300.0}, math.log(5e6) + 3000),
        ("params * exp(10*error)", {"params": 5e6, "error": 301.0}, math.log(5e6) + 3010),
        # as the same factor cancels: the value is back in reach
        ("params * exp(1000*error) / exp(1000*error)", {"params": 5e6, "error": 300.0}, math.log(5e6)),
        ("exp(-1000*error) * exp(1001*error)", {"error": 3.0}, 3.0),
        ("sqrt(exp(error))", {"error": 5000.0}, 2500.0),
        ("exp(error)**3", {"error": 5000.0}, 15000.0),
        # e^1000 + e^1000 = 2·e^1000; e^1001 − e^1000 = e^1000 · (e − 1)
        ("exp(error) + exp(error)", {"error": 1000.0}, 1000 + math.log(2)),
        ("abs(exp(error + 1) - exp(error))", {"error": 1000.0}, 1000 + math.log(math.e - 1)),
        ("min(exp(error), exp(error + 5))", {"error": 1000.0}, 1000.0),
        ("max(exp(error), exp(error + 5))", {"error": 1000.0}, 1005.0),
        ("params**error", {"params": 1e9, "error": 1000.0}, 1000 * math.log(1e9)),
    ],
)
def test_the_order_does_not_overflow(text: str, figures: Mapping[str, float], expected: float) -> None:
    formula = formula_of(text)
    assert formula.never_negative
    assert float(formula.order(arrays(**figures))) == pytest.approx(expected, rel=1e-12, abs=1e-9)


def test_an_order_of_any_sign_does_not_overflow() -> None:
    formula = formula_of("latency - exp(1000*error)")
    assert not formula.never_negative
    found = formula.order(arrays(latency=[1.0] * 4, error=[3.0, 2.0, 1.0, 0.0])).tolist()
    assert found[:3] == pytest.approx([-3000.0, -2000.0, -1000.0])
    assert found[3] == 0.0  # 1 − e^0
    assert formula.value(arrays(latency=1.0, error=3.0)) == -math.inf


@given(st.floats(0, 3000), st.floats(0, 3000), st.floats(1e-6, 1e6))
def test_a_sum_beyond_doubles_agrees_with_decimals(a: float, b: float, factor: float) -> None:
    order = float(formula_of("latency * exp(error) + exp(energy)").order(arrays(latency=factor, error=a, energy=b)))
    with localcontext() as context:
        context.prec, context.Emax = 50, 10**6
        exact = (Decimal(factor) * Decimal(a).exp() + Decimal(b).exp()).ln()
    assert order == pytest.approx(float(exact), rel=1e-12, abs=1e-12)


def test_equal_values_are_ordered_as_equal() -> None:
    # 2·6 = 3·4 = 1·12 as doubles; their logarithms differ in the last digit if added
    found = formula_of("params * macs").order(arrays(params=[2.0, 3.0, 1.0], macs=[6.0, 4.0, 12.0]))
    assert len(set(found.tolist())) == 1


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("log(error)", {"error": 0.0}),
        ("sqrt(error - 1)", {"error": 0.0}),
        ("params / error", {"params": 1.0, "error": 0.0}),
        ("error / error", {"error": 0.0}),
        ("(error - 1)**0.5", {"error": 0.0}),
        ("error**-1", {"error": 0.0}),
        ("1 + max(params, log(error))", {"params": 1.0, "error": 0.0}),
        ("0 * log(error)", {"error": 0.0}),
    ],
)
def test_what_is_undefined_is_no_number(text: str, figures: Mapping[str, float]) -> None:
    formula = formula_of(text)
    assert np.isnan(formula.value(arrays(**figures)))
    assert np.isnan(formula.order(arrays(**figures)))
    assert filter_of(f"{text} < 1").keep(figures) is None


def test_formulas_are_of_any_shape() -> None:
    formula = formula_of("params * 2 + error")
    terms = arrays(params=[1.0, 2.0], error=[[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    assert formula.value(terms).tolist() == [[2, 4], [3, 5], [4, 6]]
    assert formula.order(terms).shape == (3, 2)
    assert formula_of("params*0 + 1").value(arrays(params=[1.0, 2.0])).tolist() == [1, 1]


def test_a_formula_says_what_it_reads() -> None:
    formula = formula_of("  latency*params +  latency * exp( error )")
    assert formula.reads == ("latency", "params", "error")
    assert formula.text == "latency*params + latency * exp( error )"


# Refusals


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("", 1, "it is empty"),
        ("   ", 1, "it is empty"),
        ("3 + 4", 1, "it reads no term, so all models would be equal; terms: params (count)"),
        ("parms * 2", 1, "unknown term 'parms': did you mean params? terms: params (count), macs (count)"),
        ("2 * speed_of_light", 5, "unknown term 'speed_of_light': terms: params (count)"),
        ("latency (s)", 1, "unknown function 'latency': known: exp, log"),
        ("exq(error)", 1, "unknown function 'exq': did you mean exp"),
        ("exp", 1, "exp is a function: write exp(…)"),
        ("exp(params, 2)", 1, "exp takes one number, not 2"),
        ("exp()", 1, "exp takes one number, not 0"),
        ("min(params)", 1, "min takes two numbers or more, not 1"),
        ("params ^ 2", 8, "'^' is no part of a formula: write ** for a power"),
        ("params × 2", 8, "'×' is no part of a formula: write *"),
        ("params − 2", 8, "'−' is no part of a formula: write - (this is another dash)"),
        ("params + 5M", 11, "'M' follows a number: write 5e6"),
        ("params + 1_000", 11, "'_' follows a number"),
        ("params * 0x10", 11, "'x' follows a number"),
        ("1.2.3 * params", 4, "'.' follows a number"),
        ("9**9**9**9 * params", 7, "an exponent beyond 100 is refused"),
        ("params ** 9**9**9**9", 17, ""),
        ("params ** 101", 11, "an exponent beyond 100 is refused"),
        ("params * 1e999", 10, "this is no finite number"),
        ("params * " + "9" * 400, 10, "this is no finite number"),
        ("params / 0", 10, "a division by 0"),
        ("params / (2 - 2)", 11, "a division by 0"),
        ("params * log(0 - 1)", 10, "this is no finite number"),
        ("params +", 9, "it ends too early"),
        ("(params", 1, "it cannot be read"),
        ("params)", 7, "it cannot be read"),
        ("params macs", 8, "it cannot be read"),
        ("params * * macs", 10, "it cannot be read"),
        ("params // 2", 1, "a formula has numbers, terms, + - * / **, brackets and the functions"),
        ("params % 2", 8, "'%' is no part of a formula: a percentage is written as its fraction"),
        ("params < 5", 1, "this is a condition: a score is a number"),
        ("(params < 5) * 2", 2, "a number is needed here: arithmetic is of numbers"),
        ("not params", 5, "a condition is needed here: not turns a comparison round"),
        ("params if error else macs", 1, "a formula has numbers"),
        ("lambda: params", 7, "':' is no part of a formula"),
        ("params.__class__", 7, "'.' is no part of a formula"),
        ("__import__", 1, "unknown term '__import__'"),
        ("__import__(params)", 1, "unknown function '__import__'"),
        ("exp('a')", 5, '"\'" is no part of a formula'),
        ("[params]", 1, "'[' is no part of a formula"),
        ("params, macs", 1, "a formula has numbers"),
        ("exp(*params)", 5, "a formula has numbers"),
        ("None", 1, "a formula has numbers"),
        ("True * params", 1, "a formula has numbers"),
        ("params * 1j", 11, "'j' follows a number"),
        ("params = 5", 8, "'=' is no part of a formula: write == to compare"),
        ("params;macs", 7, "';' is no part of a formula"),
        ("await params", 1, ""),
        ("params # comment", 8, "'#' is no part of a formula"),
        ("(" * 70 + "params" + ")" * 70 + "+" + "-" * 70 + "macs", 208, "it is nested deeper than 60 levels"),
        ("(" * 240 + "params" + ")" * 240, 1, ""),
        ("-" * 480 + "params", 1, ""),
        ("error+" * 70 + "error", 1, "it is nested deeper than 60 levels"),
        ("params + " * 100 + "params", 501, "it has 906 characters, 500 are allowed"),
        ("params\x00", 7, "'\\x00' is no part of a formula"),
        ("pаrams", 2, "'а' is no part of a formula"),  # a Cyrillic а
    ],
)
def test_what_cannot_be_read_is_one_line_with_its_column(text: str, column: int, said: str) -> None:
    with pytest.raises(InputError) as caught:
        formula_of(text)
    message = str(caught.value)
    assert message.startswith("formula ")
    assert "\n" not in message
    if said:
        assert f", column {column}: {said}" in message


@given(st.text(max_size=30) | st.text("params()+-*/.,<>=e5 andortnm", max_size=40))
def test_no_text_does_anything_but_be_read_or_refused(text: str) -> None:
    for read in (formula_of, filter_of):
        try:
            read(text)
        except InputError as error:
            message = str(error)
        else:
            continue
        assert "\n" not in message
        assert ", column " in message


def test_columns_count_from_the_start_of_what_was_written() -> None:
    with pytest.raises(InputError, match=r"^formula 'max: parms', column 6: unknown term 'parms'"):
        formula_of(" parms", offset=4, whole="max: parms")


def test_the_terms_of_a_ranking_are_listed_with_their_units() -> None:
    with pytest.raises(
        InputError, match=r"terms: psnr \(dB\), x \(count\); functions: exp, log, log2, log10, sqrt, abs, min, max$"
    ):
        formula_of("brightness", {"psnr": "dB", "x": "count"})


def test_a_metric_may_be_negative_unlike_the_standard_terms() -> None:
    assert formula_of("psnr * 2", {**TERMS, "psnr": "dB"}).never_negative is False
    assert formula_of("params * exp(error) + sqrt(psnr)", {**TERMS, "psnr": "dB"}).never_negative is True
    assert formula_of("max(params, psnr)", {**TERMS, "psnr": "dB"}).never_negative is True
    assert formula_of("min(params, psnr)", {**TERMS, "psnr": "dB"}).never_negative is False
    for text in ("-params", "params - 1", "log(params)", "params * -1"):
        assert formula_of(text).never_negative is False


# Filters

SMALL: Mapping[str, float | None] = {"params": 4e6, "error": 0.05, "latency": None}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("params < 5e6 and error < 0.1", True),
        ("params < 5e6 and error < 0.01", False),
        ("params < 1e6 or error < 0.1", True),
        ("not params < 5e6", False),
        ("not (params > 5e6 or error > 0.1)", True),
        ("1e6 < params <= 4e6", True),
        ("1e6 < params < 4e6", False),
        ("params == 4e6", True),
        ("params != 4e6", False),
        ("params * error >= 2e5", True),
        ("log10(params) > 6", True),
        ("exp(params) > 1", True),  # beyond doubles
        # what is missing decides only what hangs on it
        ("latency < 1", None),
        ("energy < 1", None),
        ("not latency < 1", None),
        ("latency < 1 and params < 5e6", None),
        ("latency < 1 and params > 5e6", False),
        ("latency < 1 or params < 5e6", True),
        ("latency < 1 or params > 5e6", None),
        ("max(latency, 2) > 1", None),
        ("0 < latency < params", None),
        ("9e6 < params < latency", False),
    ],
)
def test_filters(text: str, kept: bool | None) -> None:
    assert filter_of(text).keep(SMALL) is kept


def test_a_figure_that_is_no_number_is_missing() -> None:
    assert filter_of("error < 1").keep({"error": math.nan}) is None
    assert filter_of("error < 1").keep({}) is None


def test_a_filter_says_what_it_reads() -> None:
    made = filter_of(" error < 0.1  and params<5e6 and error>0")
    assert made.reads == ("error", "params")
    assert made.text == "error < 0.1 and params<5e6 and error>0"


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("params", 1, "this is a number: compare it, as in params < 5e6"),
        ("params < 5 and error", 16, "a condition is needed here: and / or join comparisons"),
        ("params < (error < 1)", 11, "a number is needed here: only numbers are compared"),
        ("params = 5", 8, "'=' is no part of a filter: write == to compare"),
        ("params < 5 & error < 1", 12, "'&' is no part of a filter: write and"),
        ("params is 5", 1, "compare with <, <=, >, >=, == or !="),
        ("params in macs", 1, "compare with <, <=, >, >=, == or !="),
        ("parms < 5", 1, "unknown term 'parms': did you mean params?"),
        ("1 < 2", 1, "it reads no term"),
        ("params < 5e", 11, "'e' follows a number"),
        ("params <", 9, "it ends too early"),
    ],
)
def test_a_filter_that_cannot_be_read(text: str, column: int, said: str) -> None:
    with pytest.raises(InputError) as caught:
        filter_of(text)
    assert f"column {column}: {said}" in str(caught.value)
    assert str(caught.value).startswith("filter ")


@given(
    params=st.none() | st.floats(0, 10),
    error=st.none() | st.floats(0, 10),
    bounds=st.tuples(st.floats(0, 10), st.floats(0, 10)),
    word=st.sampled_from(["and", "or"]),
)
def test_what_is_kept_holds_whatever_the_missing_figure_is(
    params: float | None, error: float | None, bounds: tuple[float, float], word: str
) -> None:
    keep = filter_of(f"params < {bounds[0]!r} {word} not error < {bounds[1]!r}").keep
    guesses = (-1.0, 0.0, 5.0, 11.0)
    all_ways = {
        keep({"params": p, "error": e})
        for p in ([params] if params is not None else guesses)
        for e in ([error] if error is not None else guesses)
    }
    assert None not in all_ways
    assert keep({"params": params, "error": error}) is (all_ways.pop() if len(all_ways) == 1 else None)
