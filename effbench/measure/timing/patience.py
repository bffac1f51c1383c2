"""Whether what was disturbed is measured again: while that helps."""

from __future__ import annotations

from dataclasses import dataclass

MOST_IN_VAIN = 2
"""After so many in a row that were disturbed the second time too, what is disturbed is taken as it is: that is what the
machine is like, and measuring everything twice costs half of the time."""


@dataclass(slots=True)
class Patience:
    """What is left of it after some measurements; `in_vain` of them in a row were disturbed twice."""

    in_vain: int = 0

    def wants_again(self, tainted: bool) -> bool:
        """Returns whether to measure again, told whether the first time was disturbed."""
        if not tainted:
            self.in_vain = 0
        return tainted and self.in_vain < MOST_IN_VAIN

    def saw_again(self, tainted: bool) -> None:
        """Takes in whether the second time was disturbed too."""
        self.in_vain = self.in_vain + 1 if tainted else 0
