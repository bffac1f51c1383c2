"""A model in a fresh process: what it answers, and how each way of dying is told. Few of these load PyTorch anew."""

import gc
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from effbench.errors import InputError
from effbench.measure.timing.entrant import Died, OutOfMemory
from effbench.measure.timing.serve import answered
from effbench.measure.timing.wire import (
    PROTOCOL,
    Asked,
    NotUnderstood,
    decode,
    encode,
    greeting,
    load_message,
    read_load,
)
from effbench.measure.timing.worker import Place, Worker, worker_command
from effbench.records import TimingPlan

NET = """
import os, sys
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, act="compute", width=4):
        super().__init__()
        if act == "raise early":
            raise ValueError("no such width")
        self.act, self.layer = act, nn.Linear(3, width)

    def forward(self, x):
        if self.act == "talk":
            print("garbage\\nmore", flush=True)
            os.write(1, b'{"seconds": [0]}\\n')
            assert sys.stdin.read() == ""
        if self.act == "raise":
            raise RuntimeError("a bad\\nshape")
        if self.act == "exit":
            sys.exit("enough")
        if self.act == "memory":
            torch.empty(2**60)
        if self.act == "die":
            os.kill(os.getpid(), 9)
        return self.layer(x)

def example_inputs():
    return torch.rand(2, 3)
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.py"
    path.write_text(NET, encoding="utf-8")
    return f"{path}:Net"


# In real processes


def test_a_model_lives_and_talks_in_a_process_of_its_own(net: str, tmp_path: Path) -> None:
    place = Place(worker_command(sys.executable), path=(str(tmp_path),), folder=str(tmp_path))
    asked = Asked("net:Net", {"act": "talk"}, ("2x3",))  # found by the worker's path alone
    session = Worker("net", asked, TimingPlan(batch=5, threads=1), place, memory="exact").start(0)
    try:
        session.ready()
        assert session.number != os.getpid()
        assert session.threads == 1
        seconds = (*session.call(1), *session.call(3))
        assert len(seconds) == 4
        assert 0 < sum(seconds) <= session.wall_s
        peaks = dict(session.peak_bytes())
        # Input 5 × 3 and output 5 × 4, of four bytes each; a process with PyTorch in it holds far more.
        assert peaks["allocated"] == (5 * 3 + 5 * 4) * 4
        assert peaks["resident"] > 50 * 2**20
        build = session.environment().torch
        assert build is not None
        assert build.version == torch.__version__
        assert 0 < session.load_s < 600
        assert session.notes == ()
    finally:
        session.close()
        session.close()
    with pytest.raises(Died, match="signal 9"):
        session.call(1)


def test_one_that_is_killed_may_have_been_short_of_memory(net: str) -> None:
    session = Worker("net", Asked(net, {"act": "die"})).start(0)
    message = "net: its process was killed by signal 9 .SIGKILL.: perhaps out of memory"
    with pytest.raises(OutOfMemory, match=message):
        session.call(1)
    with pytest.raises(ChildProcessError):  # its exit code was taken: no zombie is left
        os.waitpid(session.number, os.WNOHANG)


def test_a_constructor_that_raises_is_told_in_a_line(net: str) -> None:
    with pytest.raises(Died, match=r"^wide: building the model raised ValueError: no such width$"):
        Worker("wide", Asked(net, {"act": "raise early"})).start(0).ready()


# What the process answers, asked in this one


@pytest.fixture
def thawed() -> Iterator[None]:
    """The collector and the random state as they were: a worker keeps neither."""
    state = torch.get_rng_state()
    yield
    gc.unfreeze()
    torch.set_rng_state(state)


def answers(model: Asked, *requests: dict[str, Any]) -> list[dict[str, Any]]:
    """What a worker answers to being asked for a model and then for more."""
    asked = [load_message(model, TimingPlan()), *requests]
    return [json.loads(encode(answer)) for answer in answered(decode(encode(request)) for request in asked)]


CALL = {"do": "call", "times": 2}


@pytest.mark.usefixtures("thawed")
def test_calls_are_answered_in_seconds(net: str) -> None:
    load, call, peak = answers(Asked(net), CALL, {"do": "peak", "exact": False})
    assert load["threads"] == torch.get_num_threads()
    assert len(call["seconds"]) == 2
    assert 0 < sum(call["seconds"]) <= call["wall_s"]
    assert [kind for kind, _ in peak["bytes"]] == ["resident"]


@pytest.mark.usefixtures("thawed")
@pytest.mark.parametrize(
    ("act", "because", "line"),
    [
        ("raise", "model", "Net: running the model raised RuntimeError: a bad shape"),
        ("exit", "model", "Net: running the model raised SystemExit: enough"),
        ("memory", "memory", "Net: running the model raised RuntimeError: "),
    ],
)
def test_a_model_that_fails_is_an_answer(net: str, act: str, because: str, line: str) -> None:
    (_, failure) = answers(Asked(net, {"act": act}), CALL)
    assert failure["because"] == because
    assert failure["raised"].startswith(line)
    assert "\n" not in failure["raised"]


@pytest.mark.usefixtures("thawed")
def test_what_the_user_got_wrong_is_told_apart(net: str) -> None:
    for asked, words in (
        (Asked("nowhere.py:Net"), "no such file"),
        (Asked(net, {"depth": 3}), "has no argument 'depth'"),
        (Asked(net, plugins=("no_such_module",)), "--plugin no_such_module"),
    ):
        (failure,) = answers(asked)
        assert failure["because"] == "input"
        assert words in failure["raised"]


@pytest.mark.usefixtures("thawed")
def test_every_process_draws_the_same_weights(net: str) -> None:
    states: list[float] = []
    for _ in range(2):
        torch.manual_seed(len(states) + 5)
        answers(Asked(net))
        states.append(torch.rand(1).item())
    assert states[0] == states[1]


def test_without_a_model_there_is_nothing_to_call() -> None:
    (failure,) = answered(iter([CALL]))
    assert failure == {"raised": "no model is loaded: ask for one first", "because": "input"}


# What the timer makes of other answers


def fake(*lines: str, then: str = "") -> Worker:
    """A worker that says these lines, one for each request, whatever it is asked, and then does something."""
    said = f"import sys, os, signal\nfor line in {lines!r}:\n    print(line, flush=True)\n    sys.stdin.readline()\n"
    return Worker("net", Asked("net.py"), place=Place((sys.executable, "-S", "-c", said + then)), timeout_s=60.0)


HELLO = json.dumps(greeting("3.99"))
LOADED = '{"threads": 1, "load_s": 0.5, "notes": [["code", "subject", "text"]]}'


def test_a_fake_worker_is_understood() -> None:
    """What an interpreter prints before the greeting is passed over; in the cases below one line differs."""
    session = fake(f'banner\n[1]\n{{"a": 1}}\n{HELLO}', LOADED, '{"seconds": [0.25], "wall_s": 0.5}').start(0)
    assert session.call(1) == (0.25,)
    assert (session.threads, session.load_s, session.wall_s) == (1, 0.5, 0.5)
    assert session.notes[0].text == "text"
    session.close()


def test_a_process_that_is_started_need_not_be_waited_for() -> None:
    hello = fake(HELLO, LOADED, '{"seconds": [0.25], "wall_s": 0.5}')
    first, second = hello.start(0), hello.start(0)
    assert first.number != second.number
    second.ready()
    first.ready()
    first.ready()
    assert (first.threads, second.call(1)) == (1, (0.25,))
    first.close()
    second.close()


def test_another_protocol_is_refused() -> None:
    newer = json.dumps({**greeting("3.99"), "protocol": PROTOCOL + 1})
    with pytest.raises(Died, match=f"speaks protocol {PROTOCOL + 1} of effbench and this one {PROTOCOL}"):
        fake(newer, LOADED).start(0).ready()


@pytest.mark.parametrize(
    ("kind", "error"), [("input", InputError), ("model", Died), ("memory", OutOfMemory)], ids=lambda item: str(item)
)
def test_a_failure_is_raised_as_what_it_is(kind: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^why$") as caught:
        fake(HELLO, json.dumps({"raised": "why", "because": kind})).start(0).ready()
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("lines", "then", "message"),
    [
        ((HELLO,), "", "ended with exit code 0"),
        ((HELLO,), "sys.exit('torch is missing')", "ended with exit code 1; its last words: torch is missing"),
        ((HELLO, LOADED), "os.kill(os.getpid(), signal.SIGSEGV)", r"killed by signal 11 \(SIGSEGV\)"),
        ((HELLO, "nonsense"), "", "answered what is no answer: nonsense"),
    ],
)
def test_an_end_is_told(lines: tuple[str, ...], then: str, message: str) -> None:
    with pytest.raises(Died, match=message) as caught:
        fake(*lines, then=then).start(0).call(1)
    assert not isinstance(caught.value, OutOfMemory)


def test_one_that_hangs_is_killed() -> None:
    made = fake(then="signal.pause()")
    hanging = Worker(made.name, made.model, place=made.place, timeout_s=0.3)
    with pytest.raises(Died, match=r"net: its process hung: no answer within 0.3 s, so it was killed"):
        hanging.start(0).ready()


def test_an_interpreter_that_is_not_there_is_the_users_to_mend() -> None:
    with pytest.raises(InputError, match="no-such-python: cannot be started: No such file"):
        Worker("net", Asked("net.py"), place=Place(worker_command("no-such-python"))).start(0)


# What goes over the wire


def test_arguments_arrive_as_they_were_given() -> None:
    args = {"a": (1, 2.5), "b": [True, None], "c": {"d": "é"}, "e": b"\x00", "f": {1, 2}}
    asked = Asked("x.py", args, ("1x3", "ids:2:int64"), True, ("mine",))
    plan = TimingPlan("cuda:1", 8, "autocast-float16", "channels_last", 3, True, "training", False, True)
    assert read_load(decode(encode(load_message(asked, plan)))) == (asked, plan)


def test_an_argument_that_cannot_travel_is_named() -> None:
    with pytest.raises(InputError, match="argument sizes is a range, which cannot be sent"):
        load_message(Asked("x.py", {"sizes": range(3)}), TimingPlan())


def test_seconds_keep_every_digit() -> None:
    value = 0.1 + 0.2
    assert decode(encode({"seconds": [value]}))["seconds"] == [value]


@pytest.mark.parametrize("line", [b"", b"{", b"[1]", b"3", b"\xff\xfe"])
def test_what_is_no_message_is_not_understood(line: bytes) -> None:
    with pytest.raises(NotUnderstood):
        decode(line)
