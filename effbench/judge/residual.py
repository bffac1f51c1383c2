"""Which modules are residual blocks, read from where their additions come from and not from what they are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from effbench.records import Ids, ModuleCall, OpCall, Trace, Value

_ADDS = frozenset({"aten::add", "aten::add_"})


@dataclass(frozen=True, slots=True)
class Step:
    """One op call with the activations it touches, by storage; `weighs`: it applies a kernel or a matrix of the model.

    `added` are the two operands of a sum of equal shapes, None for any other op.
    """

    call: OpCall
    given: frozenset[int]
    made: frozenset[int]
    weighs: bool
    added: tuple[int, int] | None


def steps(trace: Trace, own: frozenset[int]) -> list[Step]:
    """Returns the op calls with the storages they touch; those in `own` belong to the model."""
    return [_step(trace, call, own) for call in trace.ops]


def residual_blocks(trace: Trace, taken: Sequence[Step]) -> list[ModuleCall]:
    """Returns every call of a residual block, in the order in which the calls returned.

    A residual block is the innermost module, the model itself left out, with an addition that ends it and whose
    operands both come from one of its inputs: as it is (identity) or transformed (a downsampled path). An addition
    ends a block where nothing that weighs lies between it and the block's first output, which has its size: a norm or
    an activation may, a convolution may not, so a U-Net's skips and a sequence's LSTM make no block. Of nested ones
    the innermost counts: Sandler et al. (MobileNetV2, 2018, section 5.1) take a block as one operation because
    its inner tensor can be computed in parts, which holds for what lies between two bottlenecks and not for a chain
    of such blocks. Their block may stride, and then has no shortcut: so a class of the user's own that is residual
    in one place of the model is a block at its other places too.
    """
    ancestors = _Ancestors()
    adding = {path for step in taken if step.added for path in ancestors.of(step.call.module)}
    inside: dict[str, list[Step]] = defaultdict(list)
    for step in taken:
        for path in ancestors.of(step.call.module):
            if path in adding:
                inside[path].append(step)
    calls: dict[str, list[ModuleCall]] = defaultdict(list)
    for call in trace.modules:
        calls[call.path].append(call)
    found, above = set[str](), set[str]()
    for path in sorted(adding, key=lambda path: -path.count(".")):
        if path not in above and _is_residual(trace, inside[path], calls[path]):
            found.add(path)
            above.update(parent for parent in ancestors.of(path) if parent != path)
    found |= _same_class(trace, found, above, ancestors)
    return [call for call in trace.modules if call.path in found]


def _same_class(trace: Trace, found: set[str], above: set[str], ancestors: _Ancestors) -> set[str]:
    """Returns the paths, not within a block nor around one, of classes that were found residual elsewhere."""
    kinds = {call.type for call in trace.modules if call.path in found and not call.type.startswith("torch.nn.")}
    alike = {call.path for call in trace.modules if call.type in kinds} - found - above - {""}
    free = {path for path in alike if found.isdisjoint(ancestors.of(path))}
    return {path for path in free if free.isdisjoint(set(ancestors.of(path)) - {path})}


def _is_residual(trace: Trace, inside: Sequence[Step], calls: Sequence[ModuleCall]) -> bool:
    """Returns whether an addition among these ops ends the module called here and joins two paths from one input."""
    values = trace.values
    # By storage: the inputs it is computed from, and the sizes of the sums that it holds but for light ops.
    origins = {values[number].storage: {values[number].storage} for call in calls for number in call.inputs}
    sums: dict[int, set[int]] = {}
    for step in inside:
        come_from = set[int]().union(*(origins.get(storage, set()) for storage in step.given))
        held = set[int]() if step.weighs else set[int]().union(*(sums.get(storage, set()) for storage in step.given))
        if step.added and _joins(step.added, origins):
            held = held | {values[step.call.outputs[0]].numel}
        for storage in step.made:
            origins[storage] = origins.get(storage, set()) | come_from
            sums[storage] = held
    outputs = (values[number] for call in calls for number in call.outputs[:1])
    return any(value.numel in sums.get(value.storage, ()) for value in outputs)


def _joins(added: tuple[int, int], origins: dict[int, set[int]]) -> bool:
    left, right = added
    return left != right and not origins.get(left, set()).isdisjoint(origins.get(right, set()))


def _step(trace: Trace, call: OpCall, own: frozenset[int]) -> Step:
    values = trace.values
    ids = list(all_ids(call.inputs.values()))
    given = frozenset(values[number].storage for number in ids)
    made = frozenset(values[number].storage for number in call.outputs) - own
    weighs = any(values[number].storage in own and _is_matrix(values[number]) for number in ids)
    return Step(call, given - own, made, weighs, _addends(trace, call, own))


def _is_matrix(value: Value) -> bool:
    """Returns whether a weight mixes or filters: a bias, a norm's weight, a scale per channel has one size above 1."""
    return sum(size > 1 for size in value.shape) > 1


def _addends(trace: Trace, call: OpCall, own: frozenset[int]) -> tuple[int, int] | None:
    left, right = call.inputs.get("self"), call.inputs.get("other")
    if call.op not in _ADDS or not isinstance(left, int) or not isinstance(right, int):
        return None
    one, two = trace.values[left], trace.values[right]
    alike = one.shape == two.shape and own.isdisjoint({one.storage, two.storage})
    return (one.storage, two.storage) if alike else None


def all_ids(ids: Iterable[Ids]) -> Iterator[int]:
    """Gives single value ids and those of lists, one after the other."""
    for item in ids:
        yield from (item,) if isinstance(item, int) else item


class _Ancestors:
    """Paths with all above them, the model itself left out, each worked out once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, ...]] = {"": ()}

    def of(self, path: str) -> tuple[str, ...]:
        """Returns ("a.b", "a") for "a.b"."""
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = (path, *self.of(path.rpartition(".")[0]))
        return known
