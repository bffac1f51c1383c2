"""What the tests of commands share."""

from __future__ import annotations

import pytest
from cli_runner import Run, runner


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process."""
    return runner(capsys)
