"""`effbench`: the words before the command's name, and the commands."""

from __future__ import annotations

from collections.abc import Sequence

import click

from effbench.cli.commands import COMMANDS


class _InOrder(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names as they were entered: click would sort them."""
        return list(self.commands)


@click.group(cls=_InOrder, commands=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error; stands anywhere.")
def app(debug: bool) -> None:
    """Say what a PyTorch model costs, how wrong it is, and which model is the best trade."""


def run(words: Sequence[str]) -> int:
    """Returns the exit code after running one command.

    Click's own way of running would turn a closed pipe and an interruption into exit codes of its own.
    """
    try:
        with app.make_context("effbench", list(words)) as context:
            app.invoke(context)
    except click.exceptions.Exit as end:  # after --help
        return end.exit_code
    return 0
