"""The worker's own side: loads one model under one plan and answers for it until nobody asks any more.

Its answers go out through a copy of standard output that nobody else knows; whatever the model prints, in Python or
in C, ends on standard error, which the timer keeps for the last words of a process that dies.
"""

from __future__ import annotations

import gc
import importlib
import os
import platform
import random
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError, one_line
from effbench.measure.timing.entrant import Died, OutOfMemory
from effbench.measure.timing.wire import Asked, Message, decode, encode, greeting, read_load

if TYPE_CHECKING:
    from effbench.measure.source import Source
    from effbench.measure.timing.live import Live
    from effbench.measure.timing.looker import Looker

_SEED = 0
"""Every process of a model draws the same weights: another draw would be another model."""


def main() -> None:
    """Serves requests from standard input until its end; dies when the other side of it does."""
    incoming, outgoing = _own_pipes()
    threading.Thread(target=_die_with, args=(incoming,), daemon=True).start()
    sys.path[:] = [*(entry for entry in sys.path if entry), ""]  # what lies here stands behind what is installed
    _write(outgoing, encode(greeting(platform.python_version())))
    with open(incoming, "rb") as requests:  # noqa: PTH123  a descriptor has no path
        for answer in answered(map(decode, requests)):
            _write(outgoing, encode(answer))


def _own_pipes() -> tuple[int, int]:
    """Returns descriptors of the pipes to the timer, which standard input and output are no longer."""
    incoming, outgoing = os.dup(0), os.dup(1)
    empty, nobody = os.pipe()
    os.dup2(empty, 0)  # a model that asks a question finds nobody there
    os.close(empty)
    os.close(nobody)
    os.dup2(2, 1)
    return incoming, outgoing


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _die_with(descriptor: int) -> None:
    """Ends the process as soon as nobody holds the other end of a pipe, also in the midst of a call.

    The kernel holds this thread until then, so that it costs a timed call nothing.
    """
    waiting = select.poll()
    waiting.register(descriptor, 0)  # a hang-up is told unasked
    waiting.poll()
    os.kill(os.getpid(), signal.SIGKILL)


def answered(requests: Iterator[Message]) -> Iterator[Message]:
    """Gives the answer to each request; a failure of the model is an answer too."""
    live: Live | Looker | None = None
    for request in requests:
        try:
            if request["do"] == "load":
                live, answer = _load(request)
            elif request["do"] == "look":
                live, answer = _look(request)
            elif live is None:
                raise InputError("no model is loaded: ask for one first")
            else:
                answer = _ACTIONS[request["do"]](live, request)
        except (Exception, SystemExit) as error:
            answer = {"raised": str(error) if isinstance(error, InputError | Died) else one_line(error)}
            answer["because"] = _because(error)
        yield answer


def _because(error: BaseException) -> str:
    return "input" if isinstance(error, InputError) else "memory" if isinstance(error, OutOfMemory) else "model"


def _load(request: Message) -> tuple[Live, Message]:
    start = perf_counter()
    from effbench.measure.source import runnable
    from effbench.measure.timing.live import Live, died
    from effbench.measure.timing.step import prepare

    model, plan = read_load(request)
    with died(model.spec, "loading"):
        loaded = runnable(_source(model))
        loaded = replace(loaded, name=request.get("name", loaded.name))  # two files may hold classes of one name
        step = prepare(loaded, plan)
    # What was made until here is not looked through again by the collector, which would do so during calls.
    gc.collect()
    gc.freeze()
    live = Live(loaded.name, step, plan.device)
    notes = [[note.code, note.subject, note.text] for note in live.notes]
    return live, {"threads": live.threads, "load_s": perf_counter() - start, "notes": notes, "samples": step.samples}


def _look(request: Message) -> tuple[Looker, Message]:
    from effbench.measure.timing.live import died
    from effbench.measure.timing.looker import Looker

    model, plan = read_load(request)
    with died(model.spec, "loading"):
        looker = Looker(_source(model), plan, request["needs"])
    return looker, {"name": looker.name, "trace": asdict(looker.trace)}


def _source(model: Asked) -> Source:
    """Returns what a spec names, after importing the plugins; the seeds are set."""
    import torch

    from effbench.measure.load import load

    torch.manual_seed(_SEED)
    random.seed(_SEED)
    for name in model.plugins:
        try:
            importlib.import_module(name)
        except Exception as error:
            raise InputError(f"--plugin {name}: importing it raised {one_line(error)}") from error
    return load(model.spec, model.args, model.inputs, model.unsafe)


def _call(live: Live, request: Message) -> Message:
    before = live.wall_s
    seconds = live.call(request["times"])
    return {"seconds": seconds, "wall_s": live.wall_s - before}


def _rest(live: Live, request: Message) -> Message:
    live.rest()
    return {}


def _peak(live: Live, request: Message) -> Message:
    return {"bytes": live.peak_bytes("exact" if request["exact"] else "marks")}


def _environment(live: Live | Looker, request: Message) -> Message:
    from effbench.measure.machine.environment import environment

    return {"environment": asdict(environment())}


def _op_times(looker: Looker, request: Message) -> Message:
    return {"op_times": asdict(looker.op_times(request["passes"]))}


def _step_times(looker: Looker, request: Message) -> Message:
    return {"step_times": list(looker.step_times(request["passes"]))}


_ACTIONS: dict[str, Callable[[Any, Message], Message]] = {
    "call": _call,
    "rest": _rest,
    "peak": _peak,
    "environment": _environment,
    "op_times": _op_times,
    "step_times": _step_times,
}
