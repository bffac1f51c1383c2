"""PyTorch's shape rules for sizes that are plain numbers, without loading its machinery for symbolic ones.

Rules written in Python ask `torch.fx.experimental.symbolic_shapes` whether a condition on sizes holds, and are marked
for `torch._dynamo` to leave alone. The first rule of a process so imports the compiler and sympy: 1.3 s here, more than
all else that a profile takes, and of no use to sizes that are Python's own integers. While a rule runs, small stand-ins
take the place of these modules, where nothing has imported them; a rule that asks for more is run without them.
"""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeVar

_SYMBOLIC, _COMPILER = "torch.fx.experimental.symbolic_shapes", "torch._dynamo"
_MARK = "__dynamo_disable"
"""The attribute in which PyTorch remembers a function that the compiler was told to leave alone."""

T = TypeVar("T")


def with_plain_sizes(rule: Callable[[], T]) -> T:
    """Returns what a rule gives; raises what it raises."""
    if _SYMBOLIC in sys.modules and _COMPILER in sys.modules:
        return rule()
    try:
        with _stand_ins():
            return rule()
    except Exception:  # what a rule refuses it refuses again, and says so in PyTorch's own words
        return rule()


@contextmanager
def _stand_ins() -> Iterator[None]:
    marked: list[Any] = []

    def disable(function: Any, *_: object, **__: object) -> Any:
        marked.append(function)
        return function

    made = {_SYMBOLIC: _ANSWERS, _COMPILER: {"disable": disable}, "sympy": {"Basic": _NoExpression}}
    ours = {name: _module(name, contents) for name, contents in made.items() if name not in sys.modules}
    gate = _Gate()
    sys.modules.update(ours)
    sys.meta_path.insert(0, gate)
    try:
        yield
    finally:
        sys.meta_path.remove(gate)
        for name in ours:
            del sys.modules[name]
        for function in marked:
            vars(function).pop(_MARK, None)


class _Gate(importlib.abc.MetaPathFinder):
    """Lets nothing of PyTorch be imported: it would keep the stand-ins for good."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname.startswith("torch."):
            raise ImportError(f"{fullname} is not imported while its parts are stood in for")


def _module(name: str, contents: dict[str, Any]) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(contents)
    return module


class _NoExpression:
    """What no size is an instance of."""


def _holds(condition: object, *_: object) -> bool:
    return bool(condition)


_ANSWERS: dict[str, Any] = {
    **dict.fromkeys(
        ["expect_true", "guard_or_true", "guard_or_false", "guard_size_oblivious", "statically_known_true"], _holds
    ),
    "sym_eq": lambda left, right: left == right,
    "sym_and": lambda *parts: all(parts),
    "sym_or": lambda *parts: any(parts),
    "is_nested_int": lambda size: False,
    "guard_int": int,
    "guarding_hint_or_throw": int,
    "has_guarding_hint": lambda _: True,
    "free_unbacked_symbols": lambda *_: set(),
}
"""What the functions of that module say of numbers."""
