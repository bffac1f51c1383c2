"""A process that answers lines: it is heard out, told apart by how it ends, and never left behind."""

import gc
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import effbench
from effbench.measure.timing.child import Child, Ended

LONG_S = 60.0


def child(script: str) -> Child:
    return Child((sys.executable, "-S", "-E", "-c", f"import os, sys, signal\n{script}"), os.environ)


def has_gone(number: int) -> bool:
    """Whether a process of ours has ended and its exit code was taken."""
    try:
        return os.waitpid(number, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def ends_within(number: int, seconds: float) -> bool:
    """Whether a process, of whomever, ends: the kernel tells when it does."""
    try:
        descriptor = os.pidfd_open(number)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def test_it_answers_each_line() -> None:
    made = child("for line in sys.stdin: print(line.strip() * 2, flush=True)")
    for text in (b"ab", b"cd" * 100_000):  # more than a pipe holds
        made.write(text + b"\n")
        assert made.read(LONG_S) == text * 2
    made.close()
    assert has_gone(made.number)


def test_lines_said_at_once_are_read_one_by_one_also_after_its_end() -> None:
    made = child("print('a\\nb\\nc', flush=True)")
    assert [made.read(LONG_S) for _ in range(3)] == [b"a", b"b", b"c"]
    with pytest.raises(Ended) as caught:
        made.read(LONG_S)
    assert (caught.value.code, caught.value.last_words) == (0, "")


def test_it_may_complain_more_than_a_pipe_holds() -> None:
    made = child("sys.stderr.write('noise\\n' * 100_000); print('done', flush=True)")
    assert made.read(LONG_S) == b"done"
    made.close()


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("sys.exit(3)", 3, ""),
        ("raise KeyError('width')", 1, "KeyError: 'width'"),
        ("sys.stderr.write('  no line end'); sys.stderr.flush(); os._exit(7)", 7, "no line end"),
        ("os.kill(os.getpid(), signal.SIGKILL)", -9, ""),
        ("os.close(1); os.kill(os.getpid(), signal.SIGSEGV)", -11, ""),
        ("os.close(1); os.close(2); os._exit(4)", 4, ""),
    ],
)
def test_how_it_ended_is_told(script: str, code: int, words: str) -> None:
    made = child(script)
    for _ in range(2):  # again and again
        with pytest.raises(Ended) as caught:
            made.read(LONG_S)
        assert (caught.value.code, caught.value.last_words) == (code, words)
        made.write(b"too late\n")
    assert has_gone(made.number)


def test_a_silent_one_is_killed() -> None:
    made = child("sys.stderr.write('computing\\n'); sys.stderr.flush(); signal.pause()")
    with pytest.raises(Ended) as caught:
        made.read(0.3)
    assert caught.value.code is None
    assert has_gone(made.number)


def test_what_it_forked_dies_with_it() -> None:
    made = child("print(os.fork() or signal.pause(), flush=True); signal.pause()")
    forked = int(made.read(LONG_S))
    made.close()
    assert ends_within(forked, LONG_S)


def test_its_death_shows_though_what_it_forked_holds_its_pipes() -> None:
    made = child(
        "pid = os.fork()\nif pid: print(pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)\nsignal.pause()"
    )
    forked = int(made.read(LONG_S))
    with pytest.raises(Ended) as caught:
        made.read(LONG_S)
    assert caught.value.code == -9
    assert ends_within(forked, LONG_S)


def test_an_interrupt_while_waiting_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = child("signal.pause()")

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(made, "_listen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made.read(LONG_S)
    assert has_gone(made.number)


def test_one_that_nobody_refers_to_is_ended() -> None:
    made = child("signal.pause()")
    number = made.number
    del made
    gc.collect()
    assert has_gone(number)


def test_a_program_that_is_missing_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        Child(("no-such-python",), os.environ)


IDLE = "from effbench.measure.timing.serve import main; main()"
BUSY = """
import signal
from effbench.measure.timing import serve
serve.answered = lambda requests: signal.pause()  # in a call that never ends, it reads no requests
serve.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="another process's end is awaited through a pidfd")
@pytest.mark.parametrize("doing", [IDLE, BUSY])
@pytest.mark.parametrize("last_act", ["os.kill(os.getpid(), signal.SIGKILL)", "raise SystemExit"])
def test_a_worker_dies_with_whoever_started_it(doing: str, last_act: str) -> None:
    """Killed, it cannot tell its worker, which sees the end of its input; at a plain end it kills it itself."""
    script = f"""
import os, signal, sys
from effbench.measure.timing.child import Child
made = Child((sys.executable, "-c", {doing!r}), os.environ)
made.read({LONG_S})
print(made.number, flush=True)
{last_act}
"""
    root = str(Path(effbench.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root}, check=False
    )
    assert done.returncode == (0 if "Exit" in last_act else -signal.SIGKILL)
    assert ends_within(int(done.stdout), 10.0)
