"""PyTorch's shape rules give the same for plain sizes with and without its machinery for symbolic ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from effbench.measure.plain_sizes import with_plain_sizes

# In a fresh process, since the machinery stays once something has loaded it.
COMPARE = """
import json, sys
import torch
from effbench.measure.plain_sizes import _stand_ins
from plain_size_cases import cases, layouts
light, plain = {}, {}
with torch.no_grad():
    for name, case in cases().items():
        with _stand_ins():
            light[name] = layouts(case)
    loaded = [name for name in ("sympy", "torch._dynamo", "torch.fx.experimental.symbolic_shapes")
              if name in sys.modules]
    for name, case in cases().items():
        plain[name] = layouts(case)
brought = "torch._dynamo" in sys.modules and "sympy" in sys.modules
doubled = torch.compile(lambda x: x + x, backend="eager")(torch.ones(2)).tolist()
print(json.dumps([light, plain, loaded, brought, doubled]))
"""


def test_rules_give_the_same_and_load_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMPARE], capture_output=True, text=True, cwd=Path(__file__).parent, check=True
    )
    light, plain, loaded, brought, doubled = json.loads(done.stdout)
    assert len(light) > 50
    assert light == plain
    assert loaded == []
    assert brought  # without stand-ins these rules do load it: else this test compares nothing
    assert doubled == [2.0, 2.0]  # the compiler itself is untouched


def test_a_rule_that_asks_for_more_is_run_again_without_stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = ModuleType("torch.fx.experimental.symbolic_shapes"), list[Any]()
    monkeypatch.delitem(sys.modules, real.__name__, raising=False)
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)

    def rule() -> int:
        seen.append(sys.modules.get(real.__name__))
        if seen[-1] is not None:  # the stand-in, which lacks something
            raise AttributeError("no such name")
        return 3

    assert with_plain_sizes(rule) == 3
    assert seen[0] is not None
    assert seen[1] is None


def test_what_a_rule_refuses_it_refuses_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)

    def rule() -> None:
        raise ValueError("sizes 3 and 4 do not match")

    with pytest.raises(ValueError, match="sizes 3 and 4 do not match"):
        with_plain_sizes(rule)
    assert "torch._dynamo" not in sys.modules
