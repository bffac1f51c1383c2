"""ptflops, calflops and DeepSpeed as peers: their own figures, and nothing of them left behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from twins import loaded

import effbench.measure.peers  # noqa: F401  fills the table of peers
from effbench.api import real_tool
from effbench.errors import InputError
from effbench.measure import functions
from effbench.measure.peer import Figures, missing, peers, run_for_figures, run_peer
from effbench.measure.source import Loaded, ModelInputs, already_built
from effbench.suites.plan import Job

NAMES = ("ptflops", "ptflops-aten", "calflops", "deepspeed")


@pytest.fixture(params=NAMES)
def tool(request: pytest.FixtureRequest) -> Any:
    found = peers.get(request.param)
    if missing(found):
        pytest.skip(f"{request.param} {missing(found)}")
    return found


class Broken(nn.Module):
    """Raises behind a patched function, inside a hooked module."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        F.relu(self.layer(x))
        raise RuntimeError("on purpose")


def state(model: nn.Module) -> Any:
    """What a tool could leave behind: attributes, hooks, training flags, and the functions that it patches."""
    patched = [
        (place.name, getattr(place.holder, place.attribute), place.attribute in vars(place.holder))
        for place in functions._places()
    ]
    modules = [
        (list(vars(part)), part.training, list(part._forward_hooks), list(part._forward_pre_hooks))
        for part in model.modules()
    ]
    return patched, modules, torch.backends.mha.get_fastpath_enabled(), torch.is_grad_enabled()


def test_its_own_figures(tool: Any) -> None:
    model = nn.Sequential(nn.Linear(6, 3, bias=False), nn.ReLU())
    expected = {"ptflops": 18 + 3 + 3, "ptflops-aten": 18, "calflops": Figures(36 + 3, 18)}
    assert run_for_figures(tool, loaded(model, (1, 6))) == expected.get(tool.name, Figures(36 + 3, 18))


def test_the_figure_in_its_unit(tool: Any) -> None:
    source = loaded(nn.Sequential(nn.Linear(6, 3, bias=False)), (1, 6))
    assert run_peer(tool, source) == (18 if tool.unit == "MAC" else 36)


def test_nothing_stays_behind(tool: Any) -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(6, 3), nn.ReLU()), nn.GRU(3, 2)).train()
    before = state(model)
    first = run_for_figures(tool, loaded(model, (1, 5, 6)))
    assert state(model) == before
    assert run_for_figures(tool, loaded(model, (1, 5, 6))) == first


def test_nothing_stays_behind_when_it_raises(tool: Any) -> None:
    model = nn.Sequential(Broken())
    before = state(model)
    with pytest.raises(InputError, match=rf"{tool.name} raised .*on purpose"):
        run_for_figures(tool, loaded(model, (1, 6)))
    assert state(model) == before
    # Neither in its own counters, which are global: the next model is counted alone.
    plain = run_for_figures(tool, loaded(nn.Sequential(nn.Linear(6, 3, bias=False)), (1, 6)))
    assert plain == (18 if tool.unit == "MAC" else Figures(36, 18))


def test_several_inputs_go_in(tool: Any) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 3, bias=False)

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            found: Tensor = self.layer(left) - self.layer(right)
            return found

    figures = run_for_figures(tool, loaded(Two(), (1, 6), (1, 6)))
    assert figures == (36 if tool.unit == "MAC" else Figures(72, 36))


def test_the_tool_prints_nothing(tool: Any, capfd: pytest.CaptureFixture[str]) -> None:
    run_for_figures(tool, Loaded("net", None, already_built(nn.Linear(6, 3)), ModelInputs((torch.zeros(2, 6),))))
    assert capfd.readouterr() == ("", "")


def test_a_suite_is_told_the_macs(tool: Any) -> None:
    given = real_tool(
        Job(name="net", spec="torch.nn:Linear", args={"in_features": 6, "out_features": 3}, inputs=("1x6",)), tool.name
    )
    assert given == (21 if tool.name.startswith("ptflops") else 18)
