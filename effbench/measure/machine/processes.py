"""A name for a process that no later one has, so that what it left behind can be told from what another one uses."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from zlib import crc32

from effbench.measure.machine.procfs import read_text


def this_process(root: Path = Path("/")) -> str:
    """Returns this process's name: the machine that its number is known on, its number, and when it began.

    Args:
        root: below which the kernel's files lie.
    """
    return f"{_machine()}-{os.getpid()}-{_began(os.getpid(), root)}"


def is_gone(name: str, root: Path = Path("/")) -> bool:
    """Returns whether the process of such a name has ended for certain: of one on another machine nobody knows."""
    found = re.fullmatch(r"([0-9a-f]{8})-([1-9]\d*)-(\d+)", name)
    if found is None or found[1] != _machine():
        return False
    number = int(found[2])
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:  # it is somebody else's, as the one of the name may be
        return False
    return _began(number, root) not in (0, int(found[3]))


def _machine() -> str:
    """Returns a code for what numbers of processes belong to: the machine, and in it the container."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115  it names no file
    except OSError:
        namespace = ""
    return f"{crc32(f'{platform.node()} {namespace}'.encode()):08x}"


def _began(number: int, root: Path) -> int:
    """Returns when a process began, in ticks since the system did; 0 where the system does not tell."""
    told = read_text(root / f"proc/{number}/stat") or ""
    fields = told.rpartition(")")[2].split()  # the program's own name may hold anything
    return int(fields[19]) if len(fields) > 19 else 0
