"""Other tools run for real, and what happens where one cannot be imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import effbench.measure.peers  # noqa: F401  fills the table of peers
from effbench.api import check, real_tool
from effbench.cli import main
from effbench.errors import InputError
from effbench.measure.peer import availability, missing, peers, run_peer
from effbench.measure.source import Loaded, ModelInputs, already_built

SUITE = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "suites" / "published.yaml"


def small() -> Loaded:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.Flatten(), nn.Linear(8 * 6 * 6, 10, bias=False))
    return Loaded("small", None, already_built(model), ModelInputs((torch.zeros(1, 3, 6, 6),)))


@pytest.mark.parametrize("name", ["fvcore", "thop", "torchinfo"])
def test_a_peer_gives_its_own_figure(name: str) -> None:
    tool = peers.get(name)
    if missing(tool):
        pytest.skip(missing(tool))
    by_hand = 6 * 6 * 8 * 3 * 3**2 + 8 * 6 * 6 * 10
    assert run_peer(tool, small()) == by_hand


@pytest.mark.parametrize("blocked", ["thop", "distutils"])
def test_a_blocked_import_is_said_and_the_rest_works(
    blocked: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, blocked, None)
    with pytest.raises(InputError, match=f"thop cannot be imported here: {blocked} is missing"):
        run_peer(peers.get("thop"), small())
    assert availability()["fvcore"].startswith("0.1.5")
    with pytest.raises(SystemExit) as end:
        main(["list", "peers"])
    assert end.value.code == 0
    assert f"{blocked} is missing" in capsys.readouterr().out


def test_a_suite_is_checked_without_the_tool_that_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "thop", None)
    _, checked = check(SUITE, real_tool)
    verdicts = [verdict for _, found in checked for verdict in found]
    unheard = [verdict for verdict in verdicts if "by thop itself" in verdict.figure]
    assert len(unheard) == 12
    assert {verdict.verdict for verdict in unheard} == {"stated"}
    assert all("thop is missing" in verdict.reason for verdict in unheard)
    assert sum(verdict.verdict == "equal" for verdict in verdicts) == 38
    assert not any(verdict.verdict == "differs" for verdict in verdicts)


def test_a_peer_that_raises_is_named() -> None:
    loaded = Loaded("bad", None, already_built(nn.Linear(3, 4)), ModelInputs((torch.zeros(1, 5),)))
    with pytest.raises(InputError, match="torchinfo raised"):
        run_peer(peers.get("torchinfo"), loaded)


def test_a_peer_takes_no_keyword_inputs() -> None:
    loaded = Loaded("kw", None, already_built(nn.Linear(3, 4)), ModelInputs((), {"input": torch.zeros(1, 3)}))
    with pytest.raises(InputError, match="positional inputs only"):
        run_peer(peers.get("fvcore"), loaded)
