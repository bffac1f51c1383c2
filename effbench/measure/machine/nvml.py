"""NVIDIA's management library behind one small interface: clocks, throttling, neighbours, energy.

It numbers the GPUs of the machine, PyTorch those that CUDA_VISIBLE_DEVICES leaves, so both speak of one by its UUID.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, TypeVar

from effbench.errors import one_line

T = TypeVar("T")

POWER_CAP = 0x4
HARDWARE_SLOWDOWN = 0x8
SOFTWARE_THERMAL = 0x20
HARDWARE_THERMAL = 0x40
POWER_BRAKE = 0x80
"""Bits of nvmlClocksEventReasons, as NVML's reference lists them."""


@dataclass(frozen=True, slots=True)
class GpuState:
    """One reading of one GPU; None where its driver does not tell.

    Attributes:
        pids: processes that hold a compute context on it.
        throttle_bits: why its clocks are below what they could be.
    """

    uuid: str
    pids: frozenset[int] | None = None
    sm_hz: int | None = None
    max_sm_hz: int | None = None
    throttle_bits: int | None = None


class Nvml(Protocol):
    """What effbench asks of the library; a fake stands beside it in the tests."""

    def driver(self) -> str | None:
        """Returns the driver's version."""
        ...

    def states(self) -> tuple[GpuState, ...]:
        """Returns a reading of every GPU of the machine."""
        ...

    def energy_mj(self, uuid: str) -> int | None:
        """Returns millijoules since the driver was loaded; None where that GPU has no counter."""
        ...


class Pynvml:
    """The library through the `pynvml` module (package nvidia-ml-py)."""

    def __init__(self, module: Any) -> None:
        """Starts the library; raises its NVMLError where there is no driver."""
        self._m = module
        module.nvmlInit()
        handles = [module.nvmlDeviceGetHandleByIndex(index) for index in range(module.nvmlDeviceGetCount())]
        self._handles = {_text(module.nvmlDeviceGetUUID(handle)): handle for handle in handles}

    def driver(self) -> str | None:
        """Returns the driver's version."""
        found = self._asked(self._m.nvmlSystemGetDriverVersion)
        return None if found is None else _text(found)

    def states(self) -> tuple[GpuState, ...]:
        """Returns a reading of every GPU of the machine."""
        return tuple(self._state(uuid, handle) for uuid, handle in self._handles.items())

    def energy_mj(self, uuid: str) -> int | None:
        """Returns millijoules since the driver was loaded; None where that GPU has no counter."""
        handle = self._handles.get(uuid)
        return None if handle is None else self._asked(lambda: int(self._m.nvmlDeviceGetTotalEnergyConsumption(handle)))

    def _state(self, uuid: str, handle: Any) -> GpuState:
        m = self._m
        # Older releases of the module know the same bits by the name of throttle reasons only.
        reasons = getattr(m, "nvmlDeviceGetCurrentClocksEventReasons", None) or getattr(
            m, "nvmlDeviceGetCurrentClocksThrottleReasons", None
        )
        return GpuState(
            uuid,
            self._asked(lambda: frozenset(int(p.pid) for p in m.nvmlDeviceGetComputeRunningProcesses(handle))),
            self._asked(lambda: int(m.nvmlDeviceGetClockInfo(handle, m.NVML_CLOCK_SM)) * 10**6),
            self._asked(lambda: int(m.nvmlDeviceGetMaxClockInfo(handle, m.NVML_CLOCK_SM)) * 10**6),
            None if reasons is None else self._asked(lambda: int(reasons(handle))),
        )

    def _asked(self, question: Callable[[], T]) -> T | None:
        """Returns the answer, or None where the driver has none for this GPU or does not allow the question."""
        try:
            return question()
        except self._m.NVMLError:
            return None


def open_nvml(importer: Callable[[str], Any] = import_module) -> Nvml | str:
    """Returns the library, or one line saying why it cannot be asked."""
    try:
        module = importer("pynvml")
    except ImportError:
        return "pynvml is not installed (package nvidia-ml-py)"
    try:
        return Pynvml(module)
    except module.NVMLError as error:
        return f"NVML does not answer: {one_line(error)}"


def uuid_of(properties: Any) -> str | None:
    """Returns NVML's name of the GPU whose properties PyTorch gives; None where they lack it."""
    found = getattr(properties, "uuid", None)
    return None if found is None else f"GPU-{str(found).removeprefix('GPU-')}"


def _text(found: str | bytes) -> str:
    return found.decode() if isinstance(found, bytes) else found
