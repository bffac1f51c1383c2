"""What a profile can be asked afterwards: further facts, measured memory; and models that end the process."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_runner import source
from helpers import OnRealTensors
from torch import Tensor, nn

import effbench as eb
from effbench.errors import InputError, ModelError
from effbench.judge.convention import conventions
from effbench.judge.liveness import memory
from effbench.records import Trace

WITH_FACTS = [name for name, item in conventions.items() if item.needs]


class Net(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.head = nn.Linear(width * 36, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.conv(x)).flatten(1)).add(1)  # type: ignore[no-any-return]


X = torch.rand(2, 3, 8, 8)
MACS = 2 * (4 * 36 * 27 + 5 * 4 * 36)


# Conventions that read facts which a plain profile lacks


def test_some_conventions_need_facts() -> None:
    assert {"ptflops", "calflops"} <= set(WITH_FACTS)


@pytest.mark.parametrize("convention", WITH_FACTS)
@pytest.mark.parametrize("wrap", [lambda net: net, OnRealTensors], ids=["hollow", "real"])
def test_counting_afterwards_is_counting_under_it(convention: str, wrap: Callable[[Any], nn.Module]) -> None:
    plain, meant = eb.profile(wrap(Net()), X), eb.profile(wrap(Net()), X, convention=convention)
    after = plain.count(convention)
    assert (after.total, after.beside) == (meant.counts.total, meant.counts.beside)
    assert after.total
    assert plain.trace.functions is None  # the profile itself stays as it was
    assert plain.macs == MACS


def test_a_trace_is_made_again_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import effbench.measure.trace as module

    made = eb.profile(Net(), X)
    passes: list[frozenset[str]] = []
    real = module.trace

    def counted(loaded: Any, mode: Any = "eval", needs: frozenset[Any] = frozenset()) -> Trace:
        passes.append(needs)
        return real(loaded, mode, needs)

    monkeypatch.setattr(module, "trace", counted)
    made.count("macs")
    assert passes == []
    made.count("ptflops")
    made.count("ptflops")
    assert passes == [conventions.get("ptflops").needs]


def test_a_stored_trace_has_no_model_to_run(tmp_path: Path) -> None:
    eb.record(eb.profile(Net(), X), tmp_path)
    (stored,) = eb.read_folder(tmp_path).records
    assert stored.trace is not None
    read = eb.Profile("Net", None, stored.trace)
    with pytest.raises(InputError, match=r"ptflops reads functions.* profile the model again under it"):
        read.count("ptflops")
    with pytest.raises(InputError, match="recorded while the model runs, and the model is gone: profile it again"):
        read.with_facts(["nonzeros"])
    with pytest.raises(InputError, match="the model is gone: profile it again"):
        read.with_measured_memory()


def test_a_model_that_has_changed_is_not_counted_as_the_old_one() -> None:
    net = Net()
    made = eb.profile(net, X)
    net.add_module("head", nn.Sequential(nn.Linear(144, 7), nn.Linear(7, 5)))
    with pytest.raises(InputError, match="does something else than when it was profiled: profile it again"):
        made.count("ptflops")


def test_a_model_that_now_fails_says_so() -> None:
    net = Net()
    made = eb.profile(net, X)
    net.add_module("head", nn.Linear(143, 5))
    with pytest.raises(ModelError, match=r"Net: head \(Linear\) raised RuntimeError"):
        made.count("ptflops")


def test_a_pass_with_data_is_the_same_model_whatever_ops_its_kernels_are() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    made = eb.profile(layer, torch.rand(2, 5, 8))
    # q, k, v and out: 10 rows of 4·8·8; attention: 2 heads of 5 × 5 × 4, twice, per sample; 8 → 16 → 8.
    macs = 10 * 4 * 8 * 8 + 2 * 2 * 5 * 5 * 4 * 2 + 10 * 2 * 8 * 16
    assert made.macs == made.with_facts(["nonzeros"]).nonzero_macs == macs


@pytest.mark.parametrize("again", [lambda made: pickle.loads(pickle.dumps(made)), copy.deepcopy, copy.copy])
def test_a_copy_leaves_the_model_behind(again: Callable[[eb.Profile], eb.Profile]) -> None:
    made = eb.profile(Net(), X)
    kept = again(made)
    assert kept == made
    assert kept.macs == MACS
    assert (made.source is None, kept.source is None) == (False, True)


# Facts and memory asked for afterwards


def test_zeros_are_counted_afterwards() -> None:
    net = Net()
    with torch.no_grad():
        net.conv.weight[:3] = 0
    made = eb.profile(net, X)
    assert made.nonzero_macs is None
    assert made.with_facts(["nonzeros"]).nonzero_macs == MACS - 2 * 3 * 36 * 27
    assert made.with_facts(()) is made


def test_an_op_without_a_formula_leaves_no_count_over_nonzero_weights() -> None:
    class Distances(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cdist(self.layer(x), x)

    made = eb.profile(Distances(), torch.rand(3, 4), facts=("nonzeros",))
    assert made.macs is None
    assert made.nonzero_macs is None
    rows = {row["path"]: row["nonzero_macs"] for row in made.to_dict()["layers"]}
    assert rows == {"": None, "layer": 3 * 4 * 4}


def test_measured_memory_is_in_the_document() -> None:
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU())
    made = eb.profile(net, torch.rand(8, 64))
    assert "measured" not in made.to_dict()["memory"]
    measured = made.with_measured_memory()
    assert measured.allocated is not None
    # ReLU holds its input and its result while the model's own input lives: no kernel here takes scratch.
    peak = 4 * 8 * (64 + 128 + 128)
    assert memory(made.trace).peak.nbytes == peak
    assert measured.to_dict()["memory"]["measured"] == {
        "peak_bytes": peak,
        "peak_without_scratch_bytes": peak,
        "scratch_op": "",
        "scratch_bytes": 0,
    }
    assert measured.count("ptflops").total  # the model is still there


def test_a_model_on_meta_has_no_memory_to_measure() -> None:
    with torch.device("meta"):
        net = Net()
    with pytest.raises(InputError, match="measured on the CPU, with data"):
        eb.profile(net, torch.rand(2, 3, 8, 8, device="meta")).with_measured_memory()


# Models that end the process, or are interrupted


class Stops(nn.Module):
    def __init__(self, stop: type[BaseException]) -> None:
        super().__init__()
        self.stop = stop
        self.layer = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        self.layer(x)
        raise self.stop("enough")


CALLS: dict[str, Callable[[nn.Module], object]] = {
    "profile": lambda net: eb.profile(net, torch.rand(2, 3)),
    "audit": lambda net: eb.audit(net, torch.rand(2, 3)),
    "assert_budget": lambda net: eb.assert_budget(net, torch.rand(2, 3), macs=1),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_model_that_ends_the_process_is_a_model_error(call: str) -> None:
    net = Stops(SystemExit).train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(ModelError, match="Stops: its own code ended the process with SystemExit: enough; it must "):
        CALLS[call](net)
    assert net.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize("call", CALLS)
def test_an_interruption_passes(call: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        CALLS[call](Stops(KeyboardInterrupt))


EXITS = {
    "import": {"head": "raise {}"},
    "init": {"init": "raise {}"},
    "example": {"example": "raise {}"},
    "forward": {"forward": "raise {}"},
}


@pytest.mark.parametrize("place", EXITS)
def test_a_file_that_ends_the_process_is_a_model_error(place: str, tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(source(**{key: text.format("SystemExit(3)") for key, text in EXITS[place].items()}))
    with pytest.raises(ModelError, match="its own code ended the process with SystemExit: 3"):
        eb.profile(str(path))
    path.write_text(source(**{key: text.format("KeyboardInterrupt") for key, text in EXITS[place].items()}))
    with pytest.raises(KeyboardInterrupt):
        eb.profile(str(path))
