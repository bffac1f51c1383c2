"""Running an op on tensors without data, its shape rule asked once per shape.

On meta tensors an op has nothing to compute but the shape of its result, yet many shape rules are chains of Python
decompositions (0.7 to 1.8 ms for a batch norm or an activation). A rule is a pure function of shapes, strides, dtypes
and plain arguments, so its answers are remembered; nothing is remembered of models, modules or tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

_PLAIN_TENSORS = (torch.Tensor, nn.Parameter)
_META = torch.device("meta")


class Layout(NamedTuple):
    """All that a shape rule reads of a tensor."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype


class Scalar(NamedTuple):
    """A plain argument; its type keeps 1, 1.0 and True apart, which compare equal and give other dtypes."""

    kind: type
    value: Any


Key = Layout | Scalar | tuple["Key", ...]


class NotPlain(Exception):
    """An argument that a rule's answer cannot be remembered by."""


class Rule(NamedTuple):
    """How an op is run without data: `returns` is the argument an in-place op hands back, -1 for fresh results."""

    returns: int


def rule_of(op: Any) -> Rule | None:
    """Returns the rule of an op overload; None where it must run itself: views, aliases, shapes that need data."""
    schema = op._schema
    tags = {str(tag).rpartition(".")[2] for tag in op.tags}
    if op.namespace != "aten" or tags & {"dynamic_output_shape", "data_dependent_output", "inplace_view"}:
        return None
    written = [index for index, arg in enumerate(schema.arguments) if arg.alias_info is not None]
    aliased = [ret.alias_info for ret in schema.returns if ret.alias_info is not None]
    if not written and not aliased:
        return Rule(-1)
    in_place = written == [0] and len(schema.returns) == 1 and len(aliased) == 1 and aliased[0].is_write
    return Rule(0) if in_place else None


def run(op: Any, rule: Rule | None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Returns what the op returns, its result laid out by the remembered rule where every tensor is on meta."""
    if rule is None:
        return op(*args, **kwargs)
    try:
        key = tuple([_key(arg) for arg in args])
        named = tuple([(name, _key(value)) for name, value in kwargs.items()]) if kwargs else ()
        answer = _layouts(op, key, named, torch.get_default_dtype())
    except (NotPlain, TypeError):
        return op(*args, **kwargs)
    if rule.returns == 0:
        return args[0]
    return op(*args, **kwargs) if isinstance(answer, _Shared) else _tensors(answer)


def _key(value: Any) -> Key:
    kind = type(value)
    if kind in _PLAIN_TENSORS:
        if value.device != _META or value.layout is not torch.strided or value.is_conj() or value.is_neg():
            raise NotPlain
        return Layout(tuple(value.shape), value.stride(), value.dtype)
    if kind is list or kind is tuple:
        return tuple([_key(item) for item in value])
    if isinstance(value, torch.Tensor | torch.SymInt):
        raise NotPlain
    return Scalar(kind, value)


class _Shared(NamedTuple):
    """The answer of an op whose results share memory, though its schema does not say so: `_unsafe_view`."""


Answer = Layout | tuple["Answer", ...] | list["Answer"] | _Shared | None


@lru_cache(maxsize=1 << 16)
def _layouts(op: Any, key: tuple[Key, ...], named: tuple[tuple[str, Key], ...], default_dtype: torch.dtype) -> Answer:
    """Returns how the op's results are laid out, from its own shape rule; raises what that rule raises.

    `default_dtype` is part of the question: an op given integers or no tensor at all answers in it.
    """
    args = tuple(map(_stand_in, key))
    kwargs = {name: _stand_in(value) for name, value in named}
    result = op(*args, **kwargs)
    answer = _answer(result)
    given, made = _storages((args, kwargs)), _storages(result)
    return answer if len({*given, *made}) == len(set(given)) + len(made) else _Shared()


def _storages(tree: Any) -> list[int]:
    return [leaf.untyped_storage()._cdata for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _stand_in(key: Key) -> Any:
    if isinstance(key, Layout):
        return torch.empty_strided(key.shape, key.strides, dtype=key.dtype, device=_META)
    return key.value if isinstance(key, Scalar) else [_stand_in(item) for item in key]


def _answer(result: Any) -> Answer:
    if isinstance(result, torch.Tensor):
        if result.device != _META:
            raise NotPlain
        return Layout(tuple(result.shape), result.stride(), result.dtype)
    if isinstance(result, tuple | list):
        rebuilt = [_answer(item) for item in result]
        return rebuilt if isinstance(result, list) else tuple(rebuilt)
    if result is None:
        return None
    raise NotPlain


def _tensors(answer: Answer) -> Any:
    if isinstance(answer, Layout):
        return torch.empty_strided(answer.shape, answer.strides, dtype=answer.dtype, device=_META)
    if answer is None:
        return None
    rebuilt = [_tensors(item) for item in answer]
    return rebuilt if isinstance(answer, list) else tuple(rebuilt)
