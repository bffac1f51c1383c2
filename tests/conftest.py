"""What all tests share: `helpers` can be imported from anywhere below this folder."""

import sys
from pathlib import Path

import torch
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# The same examples in every run: a test that fails for one of them fails for everybody.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

# `make test` runs a process per core; more threads than cores only wait for each other.
torch.set_num_threads(1)
