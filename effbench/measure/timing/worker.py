"""An entrant that loads its model in a fresh process: same interpreter or another one, same code of effbench.

`python -m effbench.measure.timing.worker` is that process by hand; it reads requests from standard input.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError
from effbench.measure.timing.child import Child, Ended
from effbench.measure.timing.entrant import Died, OutOfMemory
from effbench.measure.timing.wire import (
    PROTOCOL,
    Asked,
    Message,
    NotUnderstood,
    decode,
    encode,
    is_greeting,
    load_message,
)
from effbench.records import Note, TimingPlan

if TYPE_CHECKING:
    from effbench.measure.timing.live import Memory
    from effbench.records.environment import Environment

TIMEOUT_S = 600.0
"""Silence after which a process counts as hanging: building, compiling or one request's calls take less."""

# Another interpreter has packages of its own, so effbench alone comes from here and not what lies beside it.
_BOOTSTRAP = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
home = sys.argv[1]
spec = spec_from_file_location("effbench", home + "/__init__.py", submodule_search_locations=[home])
sys.modules["effbench"] = package = module_from_spec(spec)
spec.loader.exec_module(package)
from effbench.measure.timing.serve import main
main()
"""


def worker_command(python: str = sys.executable) -> tuple[str, ...]:
    """Returns the command that starts a worker in an interpreter, with this very code of effbench."""
    return (python, "-c", _BOOTSTRAP, str(Path(__file__).parents[2]))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker runs.

    Attributes:
        command: what starts it.
        path: folders that go before PYTHONPATH: another worktree of the model's own code.
        folder: the working directory, from which the paths in a spec are read; None is this one's.
    """

    command: tuple[str, ...] = field(default_factory=worker_command)
    path: tuple[str, ...] = ()
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """A model that a spec names, under one plan.

    Attributes:
        memory: "exact" adds what the CPU's allocator gave in one more call to `peak_bytes`.
        timeout_s: silence after which a process is killed as hanging.
    """

    name: str
    model: Asked
    plan: TimingPlan = field(default_factory=TimingPlan)
    place: Place = field(default_factory=Place)
    memory: Memory = "marks"
    timeout_s: float = TIMEOUT_S

    def start(self, number: int) -> WorkerSession:
        """Returns a session in a fresh process, which imports PyTorch and loads the model meanwhile.

        Raises:
            InputError: its interpreter cannot be started.
        """
        message = {**load_message(self.model, self.plan), "name": self.name}
        session = WorkerSession(self.name, self.child(), self.memory, self.timeout_s)
        try:
            session.load(message)
        except BaseException:
            session.close()
            raise
        return session

    def child(self) -> Child:
        """Returns the process, started and not asked for anything yet.

        Raises:
            InputError: its interpreter cannot be started.
        """
        try:
            return Child(self.place.command, _environment(os.environ, self.place.path), self.place.folder)
        except OSError as error:
            raise InputError(f"{self.place.command[0]}: cannot be started: {error.strerror}") from error


class WorkerSession:
    """One model alive in a process of its own.

    Attributes:
        load_s: seconds from the first import to the model being ready.
        wall_s: seconds around all calls so far by the process's own counter, outside the clock that times them.
        notes: what a reader of its times must know.
        samples: in one call; None where the inputs do not share a first dimension.
    """

    def __init__(self, name: str, child: Child, memory: Memory, timeout_s: float) -> None:
        self.load_s = self.wall_s = 0.0
        self.notes: tuple[Note, ...] = ()
        self.samples: int | None = None
        self._threads = 0
        self._is_ready = False
        self._name = name
        self._child = child
        self._memory = memory
        self._timeout_s = timeout_s

    @property
    def threads(self) -> int:
        """Returns the intra-op threads that it runs with."""
        return self._threads

    @property
    def number(self) -> int:
        """Returns the number of the process."""
        return self._child.number

    def load(self, message: Message) -> None:
        """Has the model loaded, which `ready` waits for."""
        self._child.write(encode(message))

    def ready(self) -> None:
        """Returns once the process has greeted and loaded the model.

        Raises:
            Died: the process ended, hung, speaks another protocol, or the model raised while it was built.
            InputError: the spec names no model that can be run, or the plan cannot be had there.
        """
        if self._is_ready:
            return
        try:
            self._greeted()
            self._take_in(self._answer())
        except BaseException:
            self.close()
            raise
        self._is_ready = True

    def _take_in(self, answer: Message) -> None:
        """Keeps what the process says of the model that it has loaded."""
        self._threads, self.load_s = int(answer["threads"]), float(answer["load_s"])
        self.notes = tuple(Note(*note) for note in answer["notes"])
        self.samples = answer.get("samples")

    def call(self, times: int) -> tuple[float, ...]:
        """Returns the seconds of each of so many calls in a row.

        Raises:
            Died: the process ended or hung, or the model raised.
        """
        answer = self._asked({"do": "call", "times": times})
        self.wall_s += answer["wall_s"]
        return tuple(map(float, answer["seconds"]))

    def rest(self) -> None:
        """Returns once the process leaves the machine to others.

        Raises:
            Died: the process ended or hung.
        """
        self._asked({"do": "rest"})

    def peak_bytes(self) -> tuple[tuple[str, int], ...]:
        """Returns the most memory held so far, by kind.

        Raises:
            Died: the process ended or hung, or the model raised.
        """
        answer = self._asked({"do": "peak", "exact": self._memory == "exact"})
        return tuple((str(kind), int(size)) for kind, size in answer["bytes"])

    def environment(self) -> Environment:
        """Returns the machine, PyTorch and Python as this process sees them.

        Raises:
            Died: the process ended or hung.
        """
        from pydantic import TypeAdapter

        from effbench.records.environment import Environment

        return TypeAdapter(Environment).validate_python(self._asked({"do": "environment"})["environment"])

    def close(self) -> None:
        """Kills the process with all that it started; a second time does nothing."""
        self._child.close()

    def _greeted(self) -> None:
        """Waits for the greeting; what an interpreter prints as it starts comes before it."""
        while True:
            try:
                message = decode(self._read())
            except NotUnderstood:
                continue
            if is_greeting(message):
                break
        if message["protocol"] != PROTOCOL:
            raise Died(
                f"{self._name}: its process speaks protocol {message['protocol']} of effbench and this one {PROTOCOL}: "
                "run the same effbench on both sides"
            )

    def _asked(self, message: Mapping[str, Any]) -> Message:
        """Returns the answer to a request, once it is ready; after a failure the process is of no use, and ended."""
        self.ready()
        self._child.write(encode(message))
        return self._answer()

    def _answer(self) -> Message:
        """Returns the next answer; after a failure the process is ended."""
        try:
            answer = decode(self._read())
            if "raised" not in answer:
                return answer
            raise _ERRORS[answer["because"]](answer["raised"])
        except NotUnderstood as error:
            self.close()
            raise Died(f"{self._name}: its process answered what is no answer: {error}") from None
        except BaseException:
            self.close()
            raise

    def _read(self) -> bytes:
        try:
            return self._child.read(self._timeout_s)
        except Ended as ended:
            raise _death(self._name, ended, self._timeout_s) from None


_ERRORS: Mapping[str, type[Exception]] = {"input": InputError, "model": Died, "memory": OutOfMemory}


def _death(name: str, ended: Ended, timeout_s: float) -> Died:
    """Returns one line saying how a process ended."""
    words = f"; its last words: {ended.last_words[:300]}" if ended.last_words else ""
    if ended.code is None:
        return Died(f"{name}: its process hung: no answer within {timeout_s:g} s, so it was killed{words}")
    if ended.code >= 0:
        return Died(f"{name}: its process ended with exit code {ended.code}{words}")
    number = -ended.code
    try:
        known = f" ({signal.Signals(number).name})"
    except ValueError:
        known = ""
    if number == signal.SIGKILL:
        return OutOfMemory(f"{name}: its process was killed by signal 9{known}: perhaps out of memory{words}")
    return Died(f"{name}: its process was killed by signal {number}{known}{words}")


def _environment(variables: Mapping[str, str], path: tuple[str, ...]) -> dict[str, str]:
    """Returns the environment variables of a worker: folders of its own stand before those of PYTHONPATH."""
    if not path:
        return dict(variables)
    known = variables.get("PYTHONPATH", "")
    joined = os.pathsep.join((*path, *filter(None, [known])))
    return {**variables, "PYTHONPATH": joined}


if __name__ == "__main__":
    from effbench.measure.timing.serve import main

    main()
