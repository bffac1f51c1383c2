"""The commands, one file each: to add one, write its file and name it here.

A command turns its words into one call of the pipeline and hands the report on. What is heavy it imports itself, so
that `--help` and the other commands do not wait for it.
"""

from effbench.cli.commands.audit import audit
from effbench.cli.commands.check import check
from effbench.cli.commands.compare import compare
from effbench.cli.commands.evaluate import evaluate
from effbench.cli.commands.explain import explain
from effbench.cli.commands.import_ import import_
from effbench.cli.commands.list import list_
from effbench.cli.commands.profile import profile
from effbench.cli.commands.rank import rank
from effbench.cli.commands.selfcheck import selfcheck
from effbench.cli.commands.summary import summary
from effbench.cli.commands.time import time

COMMANDS = (profile, summary, explain, audit, time, compare, selfcheck, evaluate, rank, import_, check, list_)
"""In the order in which --help lists them."""

__all__ = ["COMMANDS"]
