"""Op calls, written down as they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeAlias

import torch
from torch._ops import OpOverload

from effbench.measure.answers import ANSWERS, Known
from effbench.measure.composites import Composites
from effbench.measure.containers import tensors_in
from effbench.measure.frames import Frames
from effbench.measure.layouts import PLAIN_TENSORS, Call, Fresh, Views
from effbench.measure.nonzeros import Nonzeros, is_sparse
from effbench.measure.packed import is_packed, unpacked
from effbench.measure.plain import dtype_name, plain
from effbench.measure.plain_sizes import with_plain_sizes
from effbench.measure.tensors import Tensors
from effbench.records import COMPUTES_IN, REPARAMETRISES, Attr, Ids, OpCall

_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_HASHABLE = frozenset(
    {bool, int, float, complex, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format}
)


_MULTIPLIES = frozenset(
    f"aten::{name}" for name in ("mm", "addmm", "bmm", "baddbmm", "mkldnn_rnn_layer", "_cudnn_rnn", "miopen_rnn")
)
"""The ops inside what is recorded whole whose operands, of one dtype, say in which it multiplies."""


@dataclass(frozen=True, slots=True, eq=False)
class OpInfo:
    """What an op's schema says, read once per overload and told apart by identity, which is quick to hash."""

    name: str
    is_composite: bool
    tags: tuple[str, ...]
    is_view: bool
    mutates: tuple[str, ...]
    arguments: tuple[str, ...]
    defaults: Mapping[str, Attr]


RawOp: TypeAlias = tuple[OpInfo, str, dict[str, Ids], tuple[int, ...], Mapping[str, Attr], list[int]]
"""An op call in the order of `OpCall`'s fields, to whose list of what it frees is still added."""


def as_call(raw: RawOp) -> OpCall:
    """Returns a raw op call as records hold it."""
    info, module, inputs, outputs, attrs, frees = raw
    return OpCall(info.name, info.tags, info.is_view, info.mutates, module, inputs, outputs, attrs, tuple(frees))


def _named(info: OpInfo, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Returns a call's arguments by the schema's names."""
    positional = zip(info.arguments, args, strict=False)
    return (*positional, *kwargs.items()) if kwargs else positional


@cache
def op_info(op: Any) -> OpInfo:
    """Returns what the schema of an op overload says."""
    if not isinstance(op, OpOverload):  # a higher-order op has no schema
        return OpInfo(f"higher_order::{op}", False, (), False, (), ("query", "key", "value"), {})
    schema = op._schema
    written = tuple(arg.name for arg in schema.arguments if arg.alias_info and arg.alias_info.is_write)
    aliased = [ret.alias_info for ret in schema.returns]
    return OpInfo(
        name=schema.name,
        is_composite=torch._C._dispatch_has_kernel_for_dispatch_key(op.name(), _COMPOSITE),  # type: ignore[no-untyped-call]
        tags=tuple(sorted(str(tag).rpartition(".")[2] for tag in op.tags)),
        is_view=bool(aliased) and all(alias is not None and not alias.is_write for alias in aliased),
        mutates=written,
        arguments=tuple(arg.name for arg in schema.arguments),
        defaults={arg.name: plain(arg.default_value) for arg in schema.arguments if arg.has_default_value()},
    )


class OpLog:
    """The op calls of one pass."""

    def __init__(self, tensors: Tensors, frames: Frames, composites: bool, nonzeros: bool) -> None:
        """`composites` and `nonzeros` say whether these facts are asked for."""
        self.ops: list[RawOp] = []
        self.composites = Composites(self.ops) if composites else None
        self.nonzeros = Nonzeros() if nonzeros else None
        self._tensors = tensors
        self._frames = frames
        self._muted = 0
        self._multiplied: set[torch.dtype] = set()

    def run(
        self, op: Any, info: OpInfo, run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Returns what an op gives, written down; where all is on meta, laid out by the remembered answer.

        Args:
            op: the overload that the call is recorded as. info: what its schema says.
            run: what gives the result: the op itself, or a function that is recorded as one.
            args: positional arguments, and `kwargs` keyword ones, in the order and by the names of the schema.
        """
        if self._muted:
            if info.name in _MULTIPLIES:
                self._multiplied.add(args[0].dtype)
            return run(*args, **kwargs)
        return self._run(op, info, run, args, kwargs)

    def _run(
        self, op: Any, info: OpInfo, run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        tensors = self._tensors
        key: list[Any] = [info, torch.get_default_dtype(), *kwargs]
        inputs: dict[str, Ids] = {}
        positional = zip(info.arguments, args, strict=False)
        for name, value in (*positional, *kwargs.items()) if kwargs else positional:
            kind = type(value)
            if kind in PLAIN_TENSORS:
                _, inputs[name], layout = tensors.seen(value)
                if layout is None:
                    return self._run_and_record(info, run, args, kwargs)
                key.append(layout)
            elif kind in _HASHABLE:
                key += (kind, value)
            else:
                parts = self._key_of_list(value)
                if parts is None:
                    return self._run_and_record(info, run, args, kwargs)
                key += parts[0]
                if parts[1]:
                    inputs[name] = parts[1]
        known = ANSWERS.find(tuple(key))
        if known is None:
            with self.muted():
                call = Call(args, kwargs, tuple(_named(info, args, kwargs)))
                known = ANSWERS.learn(tuple(key), op, info.defaults, call)
        result, outputs = self._result(known, run, args, kwargs)
        self._write(info, inputs, outputs, known.attrs)
        return result

    def _key_of_list(self, value: Any) -> tuple[tuple[Any, ...], tuple[int, ...]] | None:
        """Returns what a list adds to a key, and the numbers of its tensors; None where it cannot be part of one."""
        if type(value) is not list and type(value) is not tuple:
            return None
        kinds = tuple(map(type, value))
        if _HASHABLE.issuperset(kinds):
            return (kinds, tuple(value)), ()
        if not PLAIN_TENSORS.issuperset(kinds):
            return None  # as an index that leaves dimensions out
        several = [self._tensors.seen(item) for item in value]
        layouts = tuple([layout for _, _, layout in several])
        return None if None in layouts else ((kinds, layouts), tuple([number for _, number, _ in several]))

    def _result(
        self, known: Known, run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Any, tuple[int, ...]]:
        answer = known.answer
        tensors = self._tensors
        if isinstance(answer, Fresh):
            result = answer.tensor()
            return result, (tensors.made(result, answer),)
        if isinstance(answer, Views):
            result = run(*args, **kwargs)
            if isinstance(result, torch.Tensor):
                return result, (tensors.viewed(result, answer.layouts[0], args[0]),)
            return result, tuple([tensors.viewed(*pair, args[0]) for pair in zip(result, answer.layouts, strict=True)])
        if answer == "itself":
            return args[0], (tensors.number(args[0]),)
        if answer == "runs":
            result = run(*args, **kwargs)
            return result, self._numbers(result)
        several = [None if one is None else one.tensor() for one in answer.results]
        made = zip(several, answer.results, strict=True)
        numbers = [tensors.made(item, one) for item, one in made if item is not None and one is not None]
        return answer.kind(several), tuple(numbers)

    def _run_and_record(
        self, info: OpInfo, run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        # A function that is recorded as one op may do more than ops do.
        is_op = isinstance(run, OpOverload)
        result = with_plain_sizes(lambda: run(*args, **kwargs)) if is_op else run(*args, **kwargs)
        self._record(info, args, kwargs, result)
        return result

    def record(self, info: OpInfo, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        """Writes down one op call after it ran."""
        if not self._muted:
            self._record(info, args, kwargs, result)

    def _record(self, info: OpInfo, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        inputs: dict[str, Ids] = {}
        attrs = dict(info.defaults)
        for name, value in _named(info, args, kwargs):
            if isinstance(value, torch.Tensor):
                inputs[name] = self._number(value)
                attrs.pop(name, None)
            elif isinstance(value, list | tuple) and any(isinstance(item, torch.Tensor) for item in value):
                items = [item for item in value if isinstance(item, torch.Tensor)]
                inputs[name] = tuple(map(self._number, items))
                attrs.pop(name, None)
            elif is_packed(value):
                inputs[name] = tuple([self.record_weight(item) for item in unpacked(value)])
            else:
                attrs[name] = plain(value)
        outputs = self._numbers(result)
        if self.nonzeros is not None:
            for tensor in filter(is_sparse, tensors_in((args, kwargs))):
                self.record_weight(tensor)
            self.nonzeros.made(inputs, outputs, tensors_in(result))
        self._write(info, inputs, outputs, attrs)

    def _write(self, info: OpInfo, inputs: dict[str, Ids], outputs: tuple[int, ...], attrs: Mapping[str, Attr]) -> None:
        path, weights = self._where()
        said = replace(info, tags=(*info.tags, REPARAMETRISES)) if weights else info
        self.ops.append((said, path, inputs, outputs, attrs, []))

    def _where(self) -> tuple[str, bool]:
        """Returns the path of the module that runs, and whether what it does is to compute a weight."""
        return self._frames.stack[-1][1:]

    def record_weight(self, tensor: torch.Tensor) -> int:
        """Returns the number of a parameter, a buffer or another tensor that no input decides."""
        number = self._tensors.number(tensor)
        if self.nonzeros is not None:
            self.nonzeros.given(number, tensor)
        return number

    def record_call(self, op: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        """Writes down one call of an op that did not come through the dispatcher."""
        self.record(op_info(op), args, kwargs, result)

    def run_whole(self, op: Any, run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Returns what a function gives, written down as one call of an op, whatever ops serve it."""
        if self._muted:
            return run(*args, **kwargs)
        with self.muted():
            if torch._C._is_any_autocast_enabled():
                return self._run_cast(op_info(op), run, args, kwargs)
            return self._run(op, op_info(op), run, args, kwargs)

    def _run_cast(self, info: OpInfo, run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Returns what a function gives inside of which autocast may cast, with the dtype that it multiplies in."""
        self._multiplied.clear()
        result = run(*args, **kwargs)
        if len(self._multiplied) == 1:
            (dtype,) = self._multiplied
            info = replace(info, tags=(*info.tags, COMPUTES_IN + dtype_name(dtype)))
        self._record(info, args, kwargs, result)
        return result

    def run_composite(self, info: OpInfo, run: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> Any:
        """Returns what a composite op gives, its parts recorded and, where that is asked for, itself."""
        if self.composites is None:
            return run(*args, **kwargs)
        with self.composites.one_call(info.name) as outermost:
            result = run(*args, **kwargs)
        if outermost and not self._muted:
            self.record(info, args, kwargs, result)
            self.composites.name_last(self.ops.pop())
        return result

    @property
    def is_muted(self) -> bool:
        """Returns whether ops run unrecorded."""
        return self._muted > 0

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Lets ops run unrecorded: they are the inside of a call that is recorded as one."""
        self._muted += 1
        try:
            yield
        finally:
            self._muted -= 1

    def _number(self, tensor: torch.Tensor) -> int:
        return self._tensors.seen(tensor)[1]

    def _numbers(self, result: Any) -> tuple[int, ...]:
        if isinstance(result, torch.Tensor):
            return (self._number(result),)
        return () if result is None else tuple(map(self._number, tensors_in(result)))
