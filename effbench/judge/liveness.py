"""Memory of activations, from the recorded life of storages. Parameters and buffers are left out throughout.

Four figures, from what happened to what would have to: the peak of the run as recorded; the peak of a runtime that
frees each tensor after its last use; the largest single op, inputs and outputs together (Sandler et al., MobileNetV2,
2018, section 5.1: the memory a network needs is the largest over its operations); the same with each residual block
taken as one operation, whose inner tensors need not be whole at once.

All four count storages, each once and whole: a view takes nothing of its own, an in-place op returns what it was
given, and half of a tensor keeps all of it alive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from effbench.judge.residual import Step, all_ids, residual_blocks, steps
from effbench.records import Trace

_CONSTANTS = "aten::lift_fresh"
"""How a tensor written out in forward (`torch.tensor([1, 2])`) comes into being: an op takes it that none returned."""


@dataclass(frozen=True, slots=True)
class Place:
    """A number of bytes and where they are alive: the op and its module, or a block's class and path.

    Both names are "" where the inputs alone set the figure.
    """

    nbytes: int
    op: str = ""
    module: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """Activation memory of one forward pass, each figure with the place that sets it.

    Attributes:
        peak: as recorded: a storage lives from the op that returns it until it died. What a kernel takes as scratch
            space inside is not seen.
        floor: freed after the last use instead, inputs too; what the model returns stays.
        largest_op: inputs and outputs of one op. largest_block: the same, residual blocks taken as one op.
    """

    peak: Place
    floor: Place
    largest_op: Place
    largest_block: Place


def memory(trace: Trace) -> Memory:
    """Returns the activation memory of a trace in bytes."""
    lives = _Lives(trace)
    return Memory(
        lives.peak([call.frees for call in trace.ops]),
        lives.peak(lives.last_uses()),
        _most(map(lives.of_op, lives.steps)),
        _most(lives.of_blocks()),
    )


def peak_activation_bytes(trace: Trace) -> int:
    """Returns the most bytes alive at once beside parameters and buffers, inputs included."""
    return memory(trace).peak.nbytes


def residual_paths(trace: Trace) -> list[str]:
    """Returns the path of every call of a residual block."""
    return [call.path for call in residual_blocks(trace, _Lives(trace).steps)]


class _Lives:
    """The storages of a trace: sizes, which are the model's own, and which ops read and make them."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.sizes = {value.storage: value.nbytes for value in trace.values}
        self.inputs = {trace.values[item.value].storage for item in trace.inputs}
        self.steps = steps(trace, _own(trace, self.inputs))

    def _bytes(self, storages: Iterable[int]) -> int:
        return sum(self.sizes[storage] for storage in storages)

    def peak(self, frees: Iterable[Iterable[int]]) -> Place:
        """Returns the most bytes alive right after an op, before what it frees is freed."""
        alive = set(self.inputs)
        now = self._bytes(alive)
        most = Place(now)
        for step, freed in zip(self.steps, frees, strict=True):
            fresh = step.made - alive
            alive |= fresh
            now += self._bytes(fresh)
            if now > most.nbytes:
                most = Place(now, step.call.op, step.call.module)
            gone = alive.intersection(freed)
            alive -= gone
            now -= self._bytes(gone)
        return most

    def last_uses(self) -> list[set[int]]:
        """Returns, by op, the storages that no later op reads or returns and the model does not return."""
        last = {storage: index for index, step in enumerate(self.steps) for storage in step.given | step.made}
        returned = self._storages(item for call in self.trace.modules if not call.path for item in call.outputs)
        ends: list[set[int]] = [set() for _ in self.steps]
        for storage, index in last.items():
            if storage not in returned:
                ends[index].add(storage)
        return ends

    def of_op(self, step: Step) -> Place:
        """Returns the bytes of an op's inputs and outputs."""
        return Place(self._bytes(step.given | step.made), step.call.op, step.call.module)

    def of_blocks(self) -> Iterator[Place]:
        """Gives the bytes of every op outside residual blocks, and of each block's inputs and outputs."""
        blocks = residual_blocks(self.trace, self.steps)
        live = self.inputs.union(*(step.made for step in self.steps))
        for call in blocks:
            touched = self._storages((*call.inputs, *call.outputs)) & live
            yield Place(self._bytes(touched), call.type.rpartition(".")[2], call.path)
        paths = {call.path for call in blocks}
        within = {module: _lies_in(module, paths) for module in {step.call.module for step in self.steps}}
        yield from (self.of_op(step) for step in self.steps if not within[step.call.module])

    def _storages(self, ids: Iterable[int]) -> set[int]:
        return {self.trace.values[number].storage for number in ids}


def _own(trace: Trace, inputs: set[int]) -> frozenset[int]:
    """Returns the storages that some op is given before any op returned them: parameters, buffers, other state."""
    met, own = set(inputs), set[int]()
    for call in trace.ops:
        if call.op != _CONSTANTS:
            own |= {trace.values[number].storage for number in all_ids(call.inputs.values())} - met
        met |= {trace.values[number].storage for number in call.outputs}
    return frozenset(own)


def _lies_in(module: str, paths: set[str]) -> bool:
    while module:
        if module in paths:
            return True
        module = module.rpartition(".")[0]
    return False


def _most(places: Iterable[Place]) -> Place:
    return max(places, key=lambda place: place.nbytes, default=Place(0))
