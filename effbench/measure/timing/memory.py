"""The most memory that this process held, and which errors say that there was too little."""

from __future__ import annotations

import os
import re
import resource
import sys
from importlib import import_module, util
from pathlib import Path
from typing import Any

import torch

from effbench.errors import InputError
from effbench.measure.allocator import allocated_by
from effbench.measure.timing.step import Step

_REFUSED = ("can't allocate memory", "not enough memory", "out of memory")
"""Words of a RuntimeError by which the allocators of devices that have no error class of their own refuse."""

Bytes = tuple[tuple[str, int], ...]


def peak_bytes(device: torch.device, status: Path = Path("/proc/self/status")) -> Bytes:
    """Returns the most memory held so far, by kind.

    "resident": of the host, the high-water mark that the kernel keeps for the process, all libraries included.
    "allocated" and "reserved": of an accelerator, in tensors and in the allocator's blocks. "process": of a CUDA
    device, what its driver counts for this process now, code and libraries included, where the driver can be asked.
    """
    found = {"resident": resident_bytes(status), **(_device_marks(device) if device.type != "cpu" else {})}
    driver = driver_bytes(device) if device.type == "cuda" else None
    return tuple(found.items()) if driver is None else (*found.items(), ("process", driver))


def _device_marks(device: torch.device) -> dict[str, int]:
    """Returns the marks of a device's allocator; none where its allocator keeps none (MPS)."""
    try:
        return {
            "allocated": torch.accelerator.max_memory_allocated(device),
            "reserved": torch.accelerator.max_memory_reserved(device),
        }
    except RuntimeError:
        return {}


def resident_bytes(status: Path = Path("/proc/self/status")) -> int:
    """Returns the high-water mark of the process's resident memory.

    Linux gives it as VmHWM. The older figure of getrusage is the fallback: it survives exec, so that a small process
    started by a large one shows the large one's mark.
    """
    try:
        line = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        line = None
    if line is not None:
        return int(line[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def driver_bytes(device: torch.device, nvml: Any = None) -> int | None:
    """Returns what NVIDIA's driver counts for this process on a device, None where it cannot be asked.

    `nvml` is the module `pynvml`; None looks for it. In a container that hides process numbers the driver's list
    does not show this process, and the figure is unknown.
    """
    if nvml is None:
        if util.find_spec("pynvml") is None:
            return None
        nvml = import_module("pynvml")
    try:
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except nvml.NVMLError:
        return None
    used = [item.usedGpuMemory for item in running if item.pid == os.getpid()]
    return None if not used or used[0] is None else int(used[0])


def exact_bytes(step: Step, device: torch.device) -> int:
    """Returns the most bytes in CPU tensors during one more call, inputs included, weights and optimiser left out.

    Every allocation is an event with its bytes, so what lives for a moment counts as what stays.

    Raises:
        InputError: the device is no CPU; its own allocator keeps exact marks.
    """
    if device.type != "cpu":
        raise InputError(f"exact allocations are the CPU's: {device.type} keeps its own marks, allocated and reserved")
    with step.around():
        return allocated_by(step.call, step.input_bytes).peak_bytes


def is_out_of_memory(error: BaseException | None) -> bool:
    """Returns whether an error, or one that it came from, says that memory was refused."""
    while error is not None:
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            return True
        if isinstance(error, RuntimeError) and any(words in str(error) for words in _REFUSED):
            return True
        error = error.__cause__ or error.__context__
    return False
