"""How an op's results are laid out, its shape rule asked once per shape.

On meta tensors an op has nothing to compute but the shape of its result, yet many shape rules are chains of Python
decompositions (0.7 to 1.8 ms for a batch norm or an activation). A rule is a pure function of shapes, strides, dtypes
and plain arguments, so its answers are remembered; nothing is remembered of models, modules or tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch

from effbench.measure.containers import tensors_in
from effbench.measure.layouts import Answer, Call, Several, Views, fresh
from effbench.measure.plain import plain
from effbench.measure.plain_sizes import with_plain_sizes
from effbench.measure.rules import own_rule
from effbench.records import Attr

_META = torch.device("meta")
_MOST = 1 << 16
"""Answers remembered at most: some 50 MB; beyond that all are asked anew."""


class Known(NamedTuple):
    """What equal calls of an op have in common: its results' layouts and its plain arguments, defaults filled in."""

    answer: Answer
    attrs: dict[str, Attr]


def kind_of_rule(op: Any) -> Literal["fresh", "views", "itself", "runs"]:
    """Returns what an op overload's schema promises: fresh results, views of its first argument, that, or nothing."""
    schema = op._schema
    tags = {str(tag).rpartition(".")[2] for tag in op.tags}
    if op.namespace != "aten" or tags & {"dynamic_output_shape", "data_dependent_output", "inplace_view"}:
        return "runs"
    written = [index for index, arg in enumerate(schema.arguments) if arg.alias_info is not None]
    aliased = [ret.alias_info for ret in schema.returns if ret.alias_info is not None]
    if not written and not aliased:
        return "fresh"
    if written == [0] and len(aliased) == len(schema.returns) and not any(alias.is_write for alias in aliased):
        return "views"
    in_place = written == [0] and len(schema.returns) == 1 and len(aliased) == 1 and aliased[0].is_write
    return "itself" if in_place else "runs"


class Answers:
    """Remembered answers by op, layouts and plain arguments."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Known] = {}

    def find(self, key: tuple[Any, ...]) -> Known | None:
        """Returns what is known of a call; raises TypeError where an argument cannot be part of a key."""
        return self._known.get(key)

    def learn(self, key: tuple[Any, ...], op: Any, defaults: Mapping[str, Attr], call: Call) -> Known:
        """Returns what is to be known of a call, from the op's own rule; raises what that rule raises."""
        if len(self._known) >= _MOST:
            self._known.clear()
        tensors = {name for name, value in call.named if isinstance(value, torch.Tensor) or _holds_tensors(value)}
        attrs = {name: value for name, value in defaults.items() if name not in tensors}
        attrs.update((name, plain(value)) for name, value in call.named if name not in tensors)
        known = self._known[key] = Known(_answer(op, call), attrs)
        return known


ANSWERS = Answers()
"""Of this process: pure functions of layouts, so that it does not matter who asked first."""


def _answer(op: Any, call: Call) -> Answer:
    own = own_rule(op)
    answer = None if own is None else with_plain_sizes(lambda: own(call))
    if answer is not None:
        return answer
    rule = kind_of_rule(op)
    if rule == "runs":
        return "runs"
    args = [_stand_in(arg) for arg in call.args]
    kwargs = {name: _stand_in(value) for name, value in call.kwargs.items()}
    result = with_plain_sizes(lambda: op(*args, **kwargs))  # an in-place op too: it refuses what it would refuse
    if rule == "itself":
        return "itself"
    given, made = _storages((args, kwargs)), _storages(result)
    if rule == "views":
        views = [fresh(item) for item in tensors_in(result)]
        known = tuple([one for one in views if one is not None])
        return Views(known) if len(known) == len(views) and {*made} == {given[0]} else "runs"
    # Of some ops the schema does not say that results share memory: `_unsafe_view`.
    if len({*given, *made}) < len(set(given)) + len(made):
        return "runs"
    return _several(result)


def _several(result: Any) -> Answer:
    if isinstance(result, torch.Tensor):
        return fresh(result) or "runs"
    if isinstance(result, tuple | list) and all(item is None or isinstance(item, torch.Tensor) for item in result):
        several = [None if item is None else fresh(item) for item in result]
        if all((item is None) == (one is None) for item, one in zip(result, several, strict=True)):
            return Several(tuple(several), list if isinstance(result, list) else tuple)
    return "runs"


def _stand_in(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=_META)
    return [_stand_in(item) for item in value] if _holds_tensors(value) else value


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(item, torch.Tensor) for item in value)


def _storages(tree: Any) -> list[int]:
    return [tensor.untyped_storage()._cdata for tensor in tensors_in(tree)]
