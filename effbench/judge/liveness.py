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
    held = {value.storage for value in trace.values} - {
        trace.values[number].storage for call in trace.ops for number in call.outputs
    }
    now = peak = sum(sizes[storage] for storage in alive)
    for call in trace.ops:
        for number in call.outputs:
            storage = trace.values[number].storage
            if storage not in alive and storage not in held:
                alive.add(storage)
                now += sizes[storage]
        peak = max(peak, now)
        for storage in call.frees:
            if storage in alive:
                alive.remove(storage)
                now -= sizes[storage]
    return peak
