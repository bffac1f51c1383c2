"""The command line: arguments, printing, exit codes; nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress


def main(argv: Sequence[str] | None = None) -> None:
    """Runs one command and ends the process with its exit code.

    0 done; 1 a check failed; 2 the call or an input is wrong (one line on standard error); 3 incomplete; 130, 143 and
    129 ended by Ctrl-C, SIGTERM and SIGHUP.
    """
    words = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    debug = "--debug" in words
    if "" not in sys.path:  # what lies here can be imported (--plugin), but stands behind all that is installed
        sys.path.append("")
    sys.exit(_run([word for word in words if word != "--debug"], debug))


def _run(words: list[str], debug: bool) -> int:
    from click import ClickException

    from effbench.cli.app import run
    from effbench.cli.interruptions import exit_code, message, unwinding
    from effbench.errors import EffbenchError, one_line

    try:
        with unwinding():
            return run(words)
    except EffbenchError as error:
        return _fail(str(error), error.exit_code, debug)
    except ClickException as error:
        context = getattr(error, "ctx", None)  # of the command whose words are wrong
        named = "effbench" if context is None else context.command_path
        return _fail(f"{error.format_message().rstrip('.')}; see {named} --help", 2, debug)
    except SystemExit as end:  # not ours: commands return or raise
        return _fail(f"a model's or plugin's own code ended the process with {one_line(end)}", 2, debug)
    except KeyboardInterrupt as stop:
        return _fail(message(stop), exit_code(stop), debug=False)
    except BrokenPipeError:
        # The reader of a pipe has seen enough; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _fail(f"this is a fault in effbench: {one_line(error)}; --debug shows where", 2, debug)


def _fail(text: str, code: int, debug: bool) -> int:
    """Returns the code after saying why in one line; with `debug` the traceback comes first."""
    from effbench.report.table import visible

    if debug:
        import traceback

        traceback.print_exc()
    red: Callable[[str], str] = "\x1b[31m{}\x1b[0m".format if sys.stderr.isatty() else str
    with suppress(OSError):  # the terminal is closed, and the code is all that can be said
        sys.stderr.write(f"{red('effbench:')} {visible(' '.join(text.split()))}\n")
    return code
