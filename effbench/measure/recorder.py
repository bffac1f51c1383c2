"""The recorder: what the dispatcher and the modules do, written down as they do it.

One `TorchDispatchMode` sees every aten op below autograd; global module hooks tell which module runs, without
touching the model; storages are followed by weak references, so that recording keeps no tensor alive.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch._ops import OpOverload
from torch.nn.modules.module import (
    _global_forward_hooks_with_kwargs,
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _get_current_dispatch_mode_stack,
    _pop_mode,
    is_traceable_wrapper_subclass_type,
)

from effbench.errors import InputError
from effbench.measure.composites import Composites, arriving_whole
from effbench.measure.containers import tensors_in
from effbench.measure.nonzeros import Nonzeros, is_sparse
from effbench.measure.packed import is_packed, unpacked
from effbench.measure.plain import class_name, dtype_name, plain
from effbench.measure.reparametrised import is_reparametrisation
from effbench.measure.shapes import Rule, rule_of, run
from effbench.measure.whole import functions_whole, run_higher_order
from effbench.records import REPARAMETRISES, Attr, Ids, ModuleCall, OpCall, Value

_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


class _OpInfo(NamedTuple):
    """What an op's schema says, read once per overload."""

    name: str
    is_composite: bool
    rule: Rule | None
    tags: tuple[str, ...]
    is_view: bool
    mutates: tuple[str, ...]
    arguments: tuple[str, ...]
    defaults: Mapping[str, Attr]


class _RawOp(NamedTuple):
    info: _OpInfo
    module: str
    inputs: dict[str, Ids]
    outputs: tuple[int, ...]
    attrs: dict[str, Attr]
    frees: list[int]


class _Frame(NamedTuple):
    """A module that runs; `weights` says whether what it does is to compute a weight."""

    module: nn.Module
    path: str
    weights: bool = False


class Recorder:
    """Writes down ops, module calls and tensors between `with recorder.listening():` and its end."""

    def __init__(
        self, paths: Mapping[nn.Module, str], attrs: Mapping[str, Mapping[str, Attr]], facts: Collection[str] = ()
    ) -> None:
        """`paths` names the modules whose calls are recorded, `attrs` gives their hyper-parameters by path.

        `facts` names what else to record: "composites".
        """
        self._paths = paths
        self._attrs = attrs
        self._values: list[Value] = []
        self._tensors: dict[int, tuple[weakref.ref[torch.Tensor], int]] = {}
        self._storages: dict[int, int] = {}
        self._storage_refs: list[weakref.ref[torch.UntypedStorage] | None] = []
        self._ops: list[_RawOp] = []
        self._calls: list[ModuleCall] = []
        self._stack: list[_Frame] = [_Frame(nn.Module(), "")]
        self._composites = Composites(self._ops) if "composites" in facts else None
        self._nonzeros = Nonzeros() if "nonzeros" in facts else None
        self.called_directly: set[str] = set()
        self._muted = 0
        self._open = False

    @property
    def values(self) -> tuple[Value, ...]:
        """Returns the tensors seen so far, by id."""
        return tuple(self._values)

    def value(self, number: int) -> Value:
        """Returns one of the tensors seen so far."""
        return self._values[number]

    @property
    def calls(self) -> tuple[ModuleCall, ...]:
        """Returns the module calls so far, in the order in which they returned."""
        return tuple(self._calls)

    @property
    def ops(self) -> tuple[OpCall, ...]:
        """Returns the op calls so far, in order."""
        return tuple(map(_op_call, self._ops))

    @property
    def composites(self) -> tuple[OpCall, ...] | None:
        """Returns the calls that are part of no other, composite ones whole; None where nobody asked for them."""
        return None if self._composites is None else tuple(map(_op_call, self._composites.calls()))

    @property
    def nonzeros(self) -> Mapping[int, int] | None:
        """Returns how many elements are not zero, by value id of weights; None where nobody asked for them."""
        return None if self._nonzeros is None else self._nonzeros.counts

    @property
    def innermost(self) -> str:
        """Returns the path of the innermost module running, or that ran when forward raised."""
        return self._stack[-1].path

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Records until the end of the block; then takes every hook and mode away again."""
        hooks = (
            register_module_forward_pre_hook(self._enter_module),
            register_module_forward_hook(self._leave_module, with_kwargs=True),
        )
        self._open = True
        modes = len(_get_current_dispatch_mode_stack())
        try:
            asked = self._composites
            whole = nullcontext() if asked is None else arriving_whole(asked.one_call)
            with functions_whole(self), whole, _Ops(self):
                yield
        finally:
            self._open = False
            # Where a model recursed without end, a mode had no room on the stack to leave by itself.
            while len(_get_current_dispatch_mode_stack()) > modes:
                _pop_mode()
            for hook in hooks:
                hook.remove()
                _global_forward_hooks_with_kwargs.pop(hook.id, None)  # which PyTorch forgets

    def value_id(self, tensor: torch.Tensor) -> int:
        """Returns the id of a tensor, a new one where it was not seen or has another shape by now."""
        known = self._tensors.get(id(tensor))
        if known is not None and known[0]() is tensor:
            value = self._values[known[1]]
            if value.shape == tensor.shape:
                return value.id
        layout = tensor.layout
        if layout is torch.jagged:
            return self.value_id(tensor.values().detach())
        number = len(self._values)
        storage, nbytes = self._storage_of(tensor)
        strides = _strides(tensor, layout)
        self._values.append(Value(number, tuple(tensor.shape), strides, dtype_name(tensor.dtype), storage, nbytes))
        self._tensors[id(tensor)] = (weakref.ref(tensor), number)
        return number

    def _storage_of(self, tensor: torch.Tensor) -> tuple[int, int]:
        """Returns (storage id, its bytes); a tensor without a storage of its own (sparse) gets a new id."""
        try:
            storage = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):
            self._storage_refs.append(None)
            return len(self._storage_refs) - 1, tensor.numel() * tensor.element_size()
        key = storage._cdata
        number = self._storages.get(key)
        if number is None:
            number = self._storages[key] = len(self._storage_refs)
            self._storage_refs.append(weakref.ref(storage, self._on_death(key, number)))
        return number, storage.nbytes()

    def _on_death(self, key: int, number: int) -> Callable[[object], None]:
        def note(_: object) -> None:
            self._storages.pop(key, None)
            if self._ops and self._open:  # what dies when the pass is over was not freed by the model
                self._ops[-1].frees.append(number)

        return note

    def record_op(self, info: _OpInfo, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        """Writes down one op call after it ran."""
        if self._muted:
            return
        inputs: dict[str, Ids] = {}
        attrs = dict(info.defaults)
        for name, value in (*zip(info.arguments, args, strict=False), *kwargs.items()):
            if isinstance(value, torch.Tensor):
                inputs[name] = self.value_id(value)
                attrs.pop(name, None)
            elif isinstance(value, list | tuple) and any(map(_is_tensor, value)):
                inputs[name] = tuple([self.value_id(item) for item in value if isinstance(item, torch.Tensor)])
            elif is_packed(value):
                inputs[name] = tuple([self.record_weight(item) for item in unpacked(value)])
            else:
                attrs[name] = plain(value)
        outputs = tuple([self.value_id(leaf) for leaf in _tensors_in(result)])
        frame = self._stack[-1]
        if self._nonzeros is not None:
            for tensor in filter(is_sparse, tensors_in((args, kwargs))):
                self.record_weight(tensor)
            self._nonzeros.made(inputs, outputs, _tensors_in(result))
        said = info._replace(tags=(*info.tags, REPARAMETRISES)) if frame.weights else info
        self._ops.append(_RawOp(said, frame.path, inputs, outputs, attrs, []))

    def record_weight(self, tensor: torch.Tensor) -> int:
        """Returns the id of a parameter, a buffer or another tensor that no input decides."""
        number = self.value_id(tensor)
        if self._nonzeros is not None:
            self._nonzeros.given(number, tensor)
        return number

    def record_call(self, op: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        """Writes down one call of an op that did not come through the dispatcher."""
        self.record_op(op_info(op), args, kwargs, result)

    def run_composite(self, info: _OpInfo, run: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> Any:
        """Returns what a composite op gives, its parts recorded and, where that is asked for, itself."""
        if self._composites is None:
            return run(*args, **kwargs)
        with self._composites.one_call(info.name) as outermost:
            result = run(*args, **kwargs)
        if outermost and not self._muted:
            self.record_op(info, args, kwargs, result)
            self._composites.name_last(self._ops.pop())
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

    @contextmanager
    def computing_weights(self, module: nn.Module) -> Iterator[None]:
        """Tags the ops of the block: they compute a weight of the module."""
        with self._inside(_Frame(module, self._paths.get(module, self.innermost), True)):
            yield

    def entering(self, module: nn.Module) -> AbstractContextManager[None] | None:
        """Returns None where a module was called and its forward now starts; else a context in which it runs."""
        if self._stack[-1].module is module or self._muted:
            return None
        path = self._paths.get(module, self.innermost)
        self.called_directly.add(path)
        return self._inside(_Frame(module, path, self._stack[-1].weights))

    @contextmanager
    def _inside(self, frame: _Frame) -> Iterator[None]:
        depth = len(self._stack)
        self._stack.append(frame)
        yield  # what raises leaves its frames behind, which name the place
        del self._stack[depth:]

    def _enter_module(self, module: nn.Module, args: object) -> None:
        path = self._paths.get(module)
        weights = self._stack[-1].weights or is_reparametrisation(module)
        self._stack.append(_Frame(module, self.innermost if path is None else path, weights))

    def _leave_module(self, module: nn.Module, args: tuple[object, ...], kwargs: object, output: object) -> None:
        # A submodule that raised, caught by the model, left its frame behind: drop down to our own.
        while len(self._stack) > 1 and self._stack.pop().module is not module:
            pass
        path = self._paths.get(module)
        if path is None:
            return
        self._calls.append(
            ModuleCall(
                path,
                class_name(type(module)),
                tuple([self.value_id(leaf) for leaf in (*_tensors_in(args), *_tensors_in(kwargs))]),
                tuple([self.value_id(leaf) for leaf in _tensors_in(output)]),
                _kind(output),
                self._attrs[path],
                tuple([_kind(arg) for arg in args]),
                None if isinstance(output, torch.Tensor) else self._nesting(output),
            )
        )

    def _nesting(self, value: object) -> Attr:
        """Returns a tensor's id, for a container its items'; None for anything else."""
        if isinstance(value, torch.Tensor):
            return self.value_id(value)
        items = list(value.values()) if isinstance(value, Mapping) else value
        return tuple([self._nesting(item) for item in items]) if isinstance(items, list | tuple) else None


class _Ops(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs every op and hands it to the recorder; an op that PyTorch composes of others is taken apart."""

    supports_higher_order_operators = True

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._recorder = recorder

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Returns False: models are recorded as written, and the guard would import torch._dynamo, 1.2 s here."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        recorder = self._recorder
        if types and any(map(is_traceable_wrapper_subclass_type, types)):
            return NotImplemented  # a tensor made of tensors says itself what is done with these
        if not isinstance(func, OpOverload):
            return run_higher_order(self, recorder, func, args, kwargs)
        # Under inference_mode composite ops (linear, matmul) arrive whole; elsewhere they arrive taken apart.
        # Asked of the dispatcher itself: PyTorch also has composites in Python for tracing, such as an upsampling by
        # index arithmetic, which no eager call runs.
        info = op_info(func)
        if info.is_composite:
            if recorder.is_muted:
                return func(*args, **kwargs)
            with self:
                return recorder.run_composite(info, partial(func._op_dk, _COMPOSITE), args, kwargs)
        result = run(func, info.rule, args, kwargs)
        recorder.record_op(info, args, kwargs, result)
        return result


@cache
def op_info(op: Any) -> _OpInfo:
    """Returns what the schema of an op overload says, and how it runs without data."""
    if not isinstance(op, OpOverload):  # a higher-order op has no schema
        return _OpInfo(f"higher_order::{op}", False, None, (), False, (), ("query", "key", "value"), {})
    schema = op._schema
    written = tuple(arg.name for arg in schema.arguments if arg.alias_info and arg.alias_info.is_write)
    aliased = [ret.alias_info for ret in schema.returns]
    return _OpInfo(
        name=schema.name,
        is_composite=torch._C._dispatch_has_kernel_for_dispatch_key(op.name(), _COMPOSITE),  # type: ignore[no-untyped-call]
        rule=rule_of(op),
        tags=tuple(sorted(str(tag).rpartition(".")[2] for tag in op.tags)),
        is_view=bool(aliased) and all(alias is not None and not alias.is_write for alias in aliased),
        mutates=written,
        arguments=tuple(arg.name for arg in schema.arguments),
        defaults={arg.name: plain(arg.default_value) for arg in schema.arguments if arg.has_default_value()},
    )


def _op_call(raw: _RawOp) -> OpCall:
    info, frees = raw.info, tuple(raw.frees)
    return OpCall(
        info.name, info.tags, info.is_view, info.mutates, raw.module, raw.inputs, raw.outputs, raw.attrs, frees
    )


def _is_tensor(item: object) -> bool:
    return isinstance(item, torch.Tensor)


def _tensors_in(tree: object) -> list[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        return [tree]
    if tree is None or (type(tree) in (tuple, dict) and not tree):  # no arguments, no keywords
        return []
    if type(tree) is tuple and all(map(_is_tensor, tree)):
        return list(tree)
    return tensors_in(tree)


def _strides(tensor: torch.Tensor, layout: torch.layout) -> tuple[int, ...]:
    """Returns a dense tensor's strides, as if contiguous where oneDNN has an order of its own; of a sparse one none.

    Raises:
        InputError: it is nested in the older layout, in which sequences may differ in every dimension.
    """
    if layout is not torch.strided:
        return torch.empty(tensor.shape, device="meta").stride() if tensor.is_mkldnn else ()
    try:
        return tensor.stride()
    except RuntimeError as error:
        if not tensor.is_nested:
            raise
        text = "a nested tensor of the strided layout has no shape: build it with layout=torch.jagged"
        raise InputError(text) from error


def _kind(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return "tensor"
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return "mapping"
    return "sequence" if isinstance(value, list | tuple) else "other"
