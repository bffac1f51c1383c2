"""Memory from the recorded life of storages."""

from __future__ import annotations

from effbench.records import Trace


def peak_activation_bytes(trace: Trace) -> int:
    """Returns the most bytes alive at once beside parameters and buffers, inputs included.

    A storage lives from the op that first returns it to the op after which it died. What a kernel takes as scratch
    space inside is not seen.
    """
    sizes = {value.storage: value.nbytes for value in trace.values}
    alive = {trace.values[item.value].storage for item in trace.inputs}
    met = set(alive)  # a storage that an op is given before any op returned it is a parameter's or a buffer's
    now = peak = sum(sizes[storage] for storage in alive)
    for call in trace.ops:
        for ids in call.inputs.values():
            met.update(trace.values[number].storage for number in ((ids,) if isinstance(ids, int) else ids))
        made = {trace.values[number].storage for number in call.outputs} - met
        met |= made
        alive |= made
        now += sum(sizes[storage] for storage in made)
        peak = max(peak, now)
        freed = alive.intersection(call.frees)
        alive -= freed
        now -= sum(sizes[storage] for storage in freed)
    return peak
