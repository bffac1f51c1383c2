"""A process that answers lines with lines, and that never outlives whoever started it."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from time import monotonic

_LOOK_S = 1.0
"""How often a silent process is looked at: what it forked may hold its pipes open after its death."""
_LAST_WORDS = 20
_CHUNK = 2**16


class Ended(Exception):
    """The process is gone.

    Attributes:
        code: its exit code, or minus the number of the signal that killed it; None where it was killed for silence.
        last_words: the last line that it wrote on standard error, "" where there is none.
    """

    def __init__(self, code: int | None, last_words: str) -> None:
        super().__init__(code, last_words)
        self.code = code
        self.last_words = last_words


class Child:
    """A process in a group of its own, with pipes to its standard streams.

    It is killed with all it started when it is closed, when nobody refers to it any more, when waiting for it is
    interrupted, and when this process ends; it notices by itself, by the end of its input, when this process is killed.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: str | None = None) -> None:
        """Starts it; OSError where there is no such program."""
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            bufsize=0,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
        )
        self._selector = selectors.DefaultSelector()
        self._close = weakref.finalize(self, _end, self._process, self._selector)
        self._lines: deque[bytes] = deque()
        self._half_line = b""
        self._words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._half_word = ""
        for stream, what in ((self._process.stdout, "answers"), (self._process.stderr, "words")):
            assert stream is not None
            self._selector.register(stream, selectors.EVENT_READ, what)

    @property
    def number(self) -> int:
        """Returns the number of the process."""
        return self._process.pid

    def write(self, line: bytes) -> None:
        """Sends a line; that the process is gone shows when it is read from."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
        except (BrokenPipeError, ValueError):  # ValueError: closed before
            return

    def read(self, timeout_s: float) -> bytes:
        """Returns its next line; killed where it stays silent for longer than that, or where waiting is interrupted.

        Raises:
            Ended: there is no next line.
        """
        deadline = monotonic() + timeout_s
        try:
            while not self._lines:
                left_s = deadline - monotonic()
                if left_s <= 0:
                    self.close()
                    raise Ended(None, self._last_words())
                self._listen(min(left_s, _LOOK_S))
        except BaseException:
            self.close()
            raise
        return self._lines.popleft()

    def close(self) -> None:
        """Kills it and all that it started; a second time does nothing."""
        self._close()

    def _listen(self, seconds: float) -> None:
        """Takes in what it says within so many seconds; raises Ended where it is gone and has said all."""
        if not self._close.alive:
            raise Ended(self._process.returncode, self._last_words())
        gone = self._process.poll() is not None
        if not self._selector.get_map():
            _wait(self._process, seconds)
        ready = self._selector.select(0 if gone else seconds) if self._selector.get_map() else []
        said = [self._take(key.fd, key.data == "answers") for key, _ in ready]
        if gone and not any(said):
            self.close()
            raise Ended(self._process.returncode, self._last_words())

    def _take(self, descriptor: int, answers: bool) -> bool:
        """Returns whether a pipe had anything to say; at its end nobody listens to it any more."""
        data = os.read(descriptor, _CHUNK)
        if not data:
            self._selector.unregister(descriptor)
            _wait(self._process, _LOOK_S)  # it ends a moment after its pipes do
        elif answers:
            self._hear_answers(data)
        else:
            self._hear_words(data)
        return bool(data)

    def _hear_answers(self, data: bytes) -> None:
        *lines, self._half_line = (self._half_line + data).split(b"\n")
        self._lines += lines

    def _hear_words(self, data: bytes) -> None:
        *lines, self._half_word = (self._half_word + data.decode(errors="replace")).split("\n")
        self._half_word = self._half_word[-_CHUNK:]
        self._words += [line.strip() for line in lines if line.strip()]

    def _last_words(self) -> str:
        return self._half_word.strip() or (self._words[-1] if self._words else "")


def _end(process: subprocess.Popen[bytes], selector: selectors.BaseSelector) -> None:
    """Kills a process and its group, and takes its exit code, so that no zombie stays."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # nobody is left; macOS refuses for a zombie
        process.kill()
    process.wait()
    selector.close()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
