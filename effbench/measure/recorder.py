"""The recorder: what the dispatcher and the modules do, written down as they do it.

One `TorchDispatchMode` sees every aten op below autograd; global module hooks tell which module runs, without
touching the model; storages are followed by weak references, so that recording keeps no tensor alive.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from effbench.measure.plain import class_name, dtype_name, hyper_parameters, plain
from effbench.measure.shapes import Rule, rule_of, run
from effbench.records import Attr, Ids, ModuleCall, OpCall, Value

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
    defaults: tuple[tuple[str, Any], ...]


class _RawOp(NamedTuple):
    info: _OpInfo
    module: str
    inputs: dict[str, Ids]
    outputs: tuple[int, ...]
    attrs: dict[str, Attr]
    frees: list[int]


class _Frame(NamedTuple):
    module: nn.Module
    path: str


class Recorder:
    """Writes down ops, module calls and tensors between `with recorder.listening():` and its end."""

    def __init__(self, paths: Mapping[nn.Module, str]) -> None:
        """`paths` names the modules whose calls are recorded."""
        self._paths = paths
        self._attrs: dict[str, Mapping[str, Attr]] = {}
        self._values: list[Value] = []
        self._tensors: dict[int, tuple[weakref.ref[torch.Tensor], int]] = {}
        self._storages: dict[int, int] = {}
        self._storage_refs: list[weakref.ref[torch.UntypedStorage] | None] = []
        self._ops: list[_RawOp] = []
        self._calls: list[ModuleCall] = []
        self._stack: list[_Frame] = [_Frame(nn.Module(), "")]
        self._muted = 0
        self._open = False

    @property
    def values(self) -> tuple[Value, ...]:
        """Returns the tensors seen so far, by id."""
        return tuple(self._values)

    @property
    def calls(self) -> tuple[ModuleCall, ...]:
        """Returns the module calls so far, in the order in which they returned."""
        return tuple(self._calls)

    @property
    def ops(self) -> tuple[OpCall, ...]:
        """Returns the op calls so far, in order."""
        return tuple(
            OpCall(
                raw.info.name,
                raw.info.tags,
                raw.info.is_view,
                raw.info.mutates,
                raw.module,
                raw.inputs,
                raw.outputs,
                raw.attrs,
                tuple(raw.frees),
            )
            for raw in self._ops
        )

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
        try:
            with _attention_whole(self), _Ops(self):
                yield
        finally:
            self._open = False
            for hook in hooks:
                hook.remove()

    def value_id(self, tensor: torch.Tensor) -> int:
        """Returns the id of a tensor, a new one where it was not seen or has another shape by now."""
        known = self._tensors.get(id(tensor))
        if known is not None and known[0]() is tensor:
            value = self._values[known[1]]
            if value.shape == tensor.shape:
                return value.id
        number = len(self._values)
        storage, nbytes = self._storage_of(tensor)
        strides = tuple(tensor.stride()) if tensor.layout is torch.strided else ()
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
        attrs: dict[str, Attr] = {}
        named = dict(info.defaults)
        named.update(zip(info.arguments, args, strict=False))
        named.update(kwargs)
        for name, value in named.items():
            if isinstance(value, torch.Tensor):
                inputs[name] = self.value_id(value)
            elif isinstance(value, list | tuple) and any(isinstance(item, torch.Tensor) for item in value):
                inputs[name] = tuple(self.value_id(item) for item in value if isinstance(item, torch.Tensor))
            else:
                attrs[name] = plain(value)
        outputs = tuple(self.value_id(leaf) for leaf in _tensors_in(result))
        self._ops.append(_RawOp(info, self.innermost, inputs, outputs, attrs, []))

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Lets ops run unrecorded: they are the inside of a call that is recorded as one."""
        self._muted += 1
        try:
            yield
        finally:
            self._muted -= 1

    def _enter_module(self, module: nn.Module, args: object) -> None:
        path = self._paths.get(module)
        self._stack.append(_Frame(module, self.innermost if path is None else path))

    def _leave_module(self, module: nn.Module, args: object, kwargs: object, output: object) -> None:
        # A submodule that raised, caught by the model, left its frame behind: drop down to our own.
        while len(self._stack) > 1 and self._stack.pop().module is not module:
            pass
        path = self._paths.get(module)
        if path is None:
            return
        if path not in self._attrs:
            self._attrs[path] = hyper_parameters(module)
        self._calls.append(
            ModuleCall(
                path,
                class_name(type(module)),
                tuple(self.value_id(leaf) for leaf in _tensors_in((args, kwargs))),
                tuple(self.value_id(leaf) for leaf in _tensors_in(output)),
                _kind(output),
                self._attrs[path],
            )
        )


class _Ops(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs every op and hands it to the recorder; an op that PyTorch composes of others is taken apart."""

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
        # Under inference_mode composite ops (linear, matmul) arrive whole; elsewhere they arrive taken apart.
        # Asked of the dispatcher itself: PyTorch also has composites in Python for tracing, such as an upsampling by
        # index arithmetic, which no eager call runs.
        info = op_info(func)
        if info.is_composite:
            with self:
                return func._op_dk(_COMPOSITE, *args, **kwargs)
        result = run(func, info.rule, args, kwargs)
        recorder.record_op(info, args, kwargs, result)
        return result


class _DirectAttention(TorchFunctionMode):
    """Sees attention called under a name that was imported from torch before the recording began."""

    def __init__(self, original: Any, whole: Callable[..., Any]) -> None:
        super().__init__()
        self._original = original
        self._whole = whole

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        call = self._whole if func is self._original else func
        return call(*args, **(kwargs or {}))


@contextmanager
def _attention_whole(recorder: Recorder) -> Iterator[None]:
    """Records attention as one call, whatever kernel or chain of ops serves it on this device.

    The name in `torch.nn.functional` is replaced too, since a function mode does not see the calls that
    functions written in Python, such as `multi_head_attention_forward`, make inside.
    """
    original = torch.nn.functional.scaled_dot_product_attention
    info = op_info(torch.ops.aten.scaled_dot_product_attention.default)

    def whole(*args: Any, **kwargs: Any) -> Any:
        with recorder.muted():
            result = original(*args, **kwargs)
        recorder.record_op(info, args, kwargs, result)
        return result

    torch.nn.functional.scaled_dot_product_attention = whole
    try:
        with _DirectAttention(original, whole):
            yield
    finally:
        torch.nn.functional.scaled_dot_product_attention = original


@cache
def op_info(op: Any) -> _OpInfo:
    """Returns what the schema of an op overload says, and how it runs without data."""
    schema = op._schema
    written = tuple(arg.name for arg in schema.arguments if arg.alias_info and arg.alias_info.is_write)
    aliased = [ret.alias_info for ret in schema.returns]
    return _OpInfo(
        name=schema.name,
        is_composite=torch._C._dispatch_has_kernel_for_dispatch_key(op.name(), _COMPOSITE),
        rule=rule_of(op),
        tags=tuple(sorted(str(tag).rpartition(".")[2] for tag in op.tags)),
        is_view=bool(aliased) and all(alias is not None and not alias.is_write for alias in aliased),
        mutates=written,
        arguments=tuple(arg.name for arg in schema.arguments),
        defaults=tuple((arg.name, arg.default_value) for arg in schema.arguments if arg.has_default_value()),
    )


def _tensors_in(tree: object) -> list[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        return [tree]
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _kind(output: object) -> str:
    if isinstance(output, torch.Tensor):
        return "tensor"
    if output is None:
        return "none"
    if isinstance(output, Mapping):
        return "mapping"
    return "sequence" if isinstance(output, list | tuple) else "other"
