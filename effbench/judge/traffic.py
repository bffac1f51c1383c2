"""Bytes that an op has to move between memory and processor at least: what it reads and what it writes, each once.

Kept apart from what a kernel really moves: a cache may spare some of it, and a kernel that walks over its input twice,
or needs scratch space, moves more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from effbench.judge.number_kinds import is_sparse
from effbench.records import Ids, OpCall, Trace, Value

ELEMENT_BYTES: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("bool", "uint8", "int8", "qint8", "quint8"), 1),
        **dict.fromkeys(("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"), 1),
        **dict.fromkeys(("float16", "bfloat16", "int16", "uint16"), 2),
        **dict.fromkeys(("float32", "int32", "uint32", "qint32", "complex32"), 4),
        **dict.fromkeys(("float64", "int64", "uint64", "complex64"), 8),
        "complex128": 16,
    }
)

_TOUCHES_NOTHING = frozenset(
    f"aten::{name}"
    for name in (
        *("empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided", "resize_"),
        *("as_strided_", "detach_", "set_", "squeeze_", "t_", "transpose_", "unsqueeze_"),
    )
)
"""Ops that make room or change how a tensor is read, and touch no element."""

_OVERWRITES = frozenset(
    f"aten::{name}"
    for name in (
        *("copy_", "fill_", "zero_", "bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_", "normal_"),
        *("random_", "uniform_"),
    )
)
"""In-place ops that write every element and read none of them before."""

_GATHERS: Mapping[str, str] = MappingProxyType(
    {
        "aten::embedding": "weight",
        "aten::index": "self",
        "aten::index_select": "self",
        "aten::gather": "self",
        "aten::take": "self",
    }
)
"""The argument of which an op reads no more elements than it returns."""

_SCATTERS: Mapping[str, str] = MappingProxyType(
    {
        "aten::index_put_": "values",
        "aten::index_copy_": "source",
        "aten::index_add_": "source",
        "aten::scatter_": "src",
        "aten::scatter_add_": "src",
    }
)
"""In-place ops that touch no more of the tensor than they are given to put there, with the argument that gives it."""

_SHAPES_ONLY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(
            [
                f"aten::{name}_backward"
                for name in (
                    *("max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool2d", "avg_pool3d"),
                    *("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d", "adaptive_max_pool3d"),
                    *("fractional_max_pool2d", "fractional_max_pool3d"),
                    *(f"{kind}_pad{sides}d" for kind in ("reflection", "replication") for sides in (1, 2, 3)),
                )
            ],
            ("self",),
        ),
        "aten::native_layer_norm_backward": ("bias",),
        "aten::native_batch_norm_backward": ("running_mean", "running_var"),
        "aten::cudnn_batch_norm_backward": ("running_mean", "running_var"),
    }
)
"""Arguments of which a gradient needs the shape alone; a normalisation that trains has statistics of its own."""

_ADDS_UP = frozenset({"aten::index_add_", "aten::scatter_add_"})


Sizes = Mapping[int, int]
"""Bytes by storage."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes read and written by one op call, by storage."""

    reads: Sizes
    writes: Sizes

    @property
    def read(self) -> int:
        """Returns the bytes read."""
        return sum(self.reads.values())

    @property
    def written(self) -> int:
        """Returns the bytes written."""
        return sum(self.writes.values())

    @property
    def total(self) -> int:
        """Returns the bytes moved."""
        return self.read + self.written


NO_TRAFFIC = Traffic(MappingProxyType({}), MappingProxyType({}))


def traffic(call: OpCall, values: Sequence[Value]) -> Traffic | None:
    """Returns the bytes that a call moves at least; None where the stored elements of a tensor are not known.

    Every distinct storage among its inputs is read once and every one that it fills is written once. Of a storage
    those elements count that the op is given: a slice its own, a tensor expanded over a dimension only what is there.
    A view moves nothing, nor does an op that hands back its input; an op in place reads and writes; one that looks
    rows up reads as many as it returns.
    """
    if call.is_view or call.op in _TOUCHES_NOTHING:
        return NO_TRAFFIC
    given, made = _ids(call.inputs.values()), call.outputs
    if any(_bytes(values[number]) is None for number in (*given, *made)):
        return None
    known = {values[number].storage for number in given}
    fresh = [number for number in made if values[number].storage not in known]
    if made and not fresh and not call.mutates:
        return NO_TRAFFIC
    if call.op in _SCATTERS:
        return _scattered(call, values)
    written = [number for name in call.mutates for number in _named(call, name)]
    unread = written if call.op in _OVERWRITES else _unread(call)
    reads = _together([number for number in given if number not in unread], values)
    writes = _together((*written, *fresh), values)
    looked_up = _looked_up(call, values, sum(writes.values()))
    reads.update({storage: min(size, reads[storage]) for storage, size in looked_up.items()})
    return Traffic(reads, writes)


def _unread(call: OpCall) -> list[int]:
    """Returns the tensors whose elements an op does not need: a result's place, or what only gives a shape."""
    names = [*({"out"} & {*call.mutates}), *_SHAPES_ONLY.get(call.op, ())]  # an attention's gradient reads its `out`
    mask = call.attrs.get("output_mask")
    if call.op == "aten::convolution_backward" and isinstance(mask, tuple):
        # The input's gradient is one of weights, the weight's one of inputs; a bias's is a sum of gradients.
        names += [name for name, needed in (("weight", mask[0]), ("input", mask[1])) if not needed]
    return [number for name in names for number in _named(call, name)]


def compulsory_bytes(trace: Trace) -> int | None:
    """Returns the bytes that no run of a model can do without; None where an op's are not known.

    These are its parameters, buffers and inputs, as far as ops read them, and its outputs, each once: what lies between
    may stay in a cache.
    """
    read: dict[int, int] = {}
    for call in trace.ops:
        moved = traffic(call, trace.values)
        if moved is None:
            return None
        for storage, size in moved.reads.items():
            read[storage] = max(size, read.get(storage, 0))
    born = _first_made(trace)
    outputs = [number for call in trace.modules if not call.path for number in call.outputs]
    results = _together([number for number in outputs if trace.values[number].storage in born], trace.values)
    return sum(size for storage, size in read.items() if storage not in born) + sum(results.values())


def _first_made(trace: Trace) -> set[int]:
    """Returns the storages that an op returned before any op was given them, inputs of the model left out."""
    met = {trace.values[item.value].storage for item in trace.inputs}
    born = set[int]()
    for call in trace.ops:
        met |= {trace.values[number].storage for number in _ids(call.inputs.values())} - born
        born |= {trace.values[number].storage for number in call.outputs} - met
    return born


def _scattered(call: OpCall, values: Sequence[Value]) -> Traffic:
    """Returns the bytes of what is put into a tensor, of where, and of the elements that it goes to."""
    own = _named(call, "self")
    reads = _together([number for number in _ids(call.inputs.values()) if number not in own], values)
    put = sum(_together(_named(call, _SCATTERS[call.op]), values).values())
    writes = {storage: min(put, size) for storage, size in _together(own, values).items()}
    return Traffic({**reads, **writes} if call.op in _ADDS_UP else reads, writes)


def _looked_up(call: OpCall, values: Sequence[Value], written: int) -> Sizes:
    """Returns the bytes that an op reads at most of the table it looks rows up in."""
    if call.op == "aten::_embedding_bag":
        (weight,), (indices,) = _named(call, "weight"), _named(call, "indices")
        row = values[weight].shape[-1] * ELEMENT_BYTES[values[weight].dtype]
        return {values[weight].storage: values[indices].numel * row}
    return {values[number].storage: written for number in _named(call, _GATHERS.get(call.op, ""))}


def _together(numbers: Iterable[int], values: Sequence[Value]) -> dict[int, int]:
    """Returns the bytes of tensors by storage, never more than it has."""
    sums: dict[int, int] = {}
    for number in dict.fromkeys(numbers):
        value = values[number]
        sums[value.storage] = min(sums.get(value.storage, 0) + (_bytes(value) or 0), value.nbytes)
    return sums


def _bytes(value: Value) -> int | None:
    """Returns the bytes of a tensor's distinct elements; None for a sparse one or a dtype of unknown size."""
    size = ELEMENT_BYTES.get(value.dtype)
    if size is None or is_sparse(value):
        return None
    count = 1
    for length, stride in zip(value.shape, value.strides, strict=True):
        count *= length if stride else min(length, 1)
    return count * size


def _named(call: OpCall, name: str) -> list[int]:
    return _ids([call.inputs[name]]) if name in call.inputs else []


def _ids(arguments: Iterable[Ids]) -> list[int]:
    return [number for ids in arguments for number in ((ids,) if isinstance(ids, int) else ids)]
