"""A formula or a convention of the user's that fails is told as theirs, with its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from cli_runner import run_apart, source
from helpers import Call, counted, traced
from torch import Tensor

import effbench as eb
from effbench.errors import InputError
from effbench.judge.blame import place
from effbench.judge.convention import Convention
from effbench.judge.count import count
from effbench.judge.work import Formula, Work
from effbench.records import Trace
from effbench.units import Unit

HERE = __file__
X = torch.rand(2, 3)


@torch.library.custom_op("effbench_users::scan", mutates_args=())
def scan(x: Tensor, steps: int) -> Tensor:
    return x.clone()


@scan.register_fake
def _(x: Tensor, steps: int) -> Tensor:
    return torch.empty_like(x)


@pytest.fixture
def found() -> Trace:
    return traced(Call(lambda x: scan(x, 5)), X)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Registers a formula for the op of this file, as `eb.formula` does, for one test."""
    from effbench.judge import work

    kept = dict(work.formulas._entries)
    yield lambda function: eb.formula("effbench_users::scan")(function)
    work.formulas._entries.clear()
    work.formulas._entries.update(kept)


def raising(x: Any, steps: Any) -> int:
    return int(x[7] * steps)


def misspelt(y: Any) -> int:
    return int(y[0])


def line_of(function: Any) -> str:
    return f"{HERE}:{function.__code__.co_firstlineno}"


def test_a_formula_that_raises_is_named_with_its_place_and_what_it_got(use: Any, found: Trace) -> None:
    use(raising)
    with pytest.raises(InputError) as told:
        counted(found)
    assert str(told.value) == (
        f"the formula of effbench_users::scan ({line_of(raising)}) raised IndexError: tuple index out of range, "
        "called with x=(2, 3), steps=5"
    )


def test_an_argument_that_the_op_has_not_arrives_as_none(use: Any, found: Trace) -> None:
    use(misspelt)
    with pytest.raises(InputError, match=r"raised TypeError: .* called with y=None"):
        counted(found)


@pytest.mark.parametrize(
    "result",
    [None, 2.5, 6.0, "6", True, -1, (6,), Work(mac=6), Work(add=eb.product(n=2.5)), Work(mac=eb.product(n=-1))],  # type: ignore[arg-type]
    ids=repr,
)
@pytest.mark.parametrize("convention", ["macs", "full"])
def test_a_formula_that_returns_something_else_is_told(use: Any, found: Trace, result: Any, convention: str) -> None:
    def wrong(x: Any) -> Any:
        return result

    use(wrong)
    with pytest.raises(InputError, match="it must return its MACs, an int of 0 or more, or a Work") as told:
        counted(found, convention)
    assert str(told.value).startswith(f"the formula of effbench_users::scan ({line_of(wrong)}) returned ")
    assert f"returned {result!r}"[:60] in str(told.value)


@pytest.mark.parametrize("result", [6, 0, 10**30, eb.Work(mac=eb.product(rows=2, steps=3))])
def test_a_formula_that_is_right_is_believed(use: Any, found: Trace, result: Any) -> None:
    use(lambda x: result)
    assert counted(found).total == (result if isinstance(result, int) else 6)


def test_partials_wrappers_and_objects_have_a_place() -> None:
    class Callee:
        def __call__(self, x: Any) -> int:
            return 0

    assert place(partial(raising, steps=1)) == line_of(raising)
    assert place(Callee()) == line_of(Callee.__call__)
    assert place(max) == "a builtin_function_or_method"


def test_a_fault_of_effbenchs_own_formula_is_not_the_users(found: Trace) -> None:
    def ours(x: Any) -> int:
        raise RuntimeError("a fault")

    ours.__module__ = "effbench.judge.formulas.matmul"
    (call,) = [call for call in found.ops if call.op == "effbench_users::scan"]
    with pytest.raises(RuntimeError, match="a fault"):
        Formula(ours, ("x",)).work(call, found.values)


def test_a_convention_that_raises_or_gives_no_costs_is_told(found: Trace) -> None:
    def broken(trace: Trace) -> Any:
        yield trace.no_such_thing  # type: ignore[attr-defined]

    def odd(trace: Trace) -> Any:
        return [3]

    with pytest.raises(InputError, match=rf"the rule of convention own \({line_of(broken)}\) raised AttributeError"):
        count(found, Convention("own", Unit.MAC, "", broken))
    with pytest.raises(InputError, match=rf"the rule of convention own \({line_of(odd)}\) returned 3: .* Costs"):
        count(found, Convention("own", Unit.MAC, "", odd))


PLUGIN = "import effbench as eb\n\n@eb.formula('aten::_cdist_forward')\ndef distances(x1):\n    return {body}\n"


@pytest.mark.parametrize(
    ("body", "said"),
    [("1 // 0", "raised ZeroDivisionError: "), ("'many'", "returned 'many': it must return its MACs")],
)
def test_the_command_line_says_so_in_one_line(body: str, said: str, tmp_path: Any) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN.format(body=body))
    (tmp_path / "net.py").write_text(source(forward="x = self.conv(x); return torch.cdist(x, x)"))
    done = run_apart(tmp_path, "profile", "net.py", "--plugin", "mine")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert "effbench: the formula of aten::_cdist_forward (" in done.err
    assert f"mine.py:3) {said}" in done.err
    assert "fault in effbench" not in done.err
