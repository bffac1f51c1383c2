"""Comparisons whose costs are done by hand and whose clocks are simulated: what is planted is found, and told."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from simulated_runs import simulated
from torch import nn

import effbench as eb
from effbench.comparisons import VERDICT, Compared, compare_entrants
from effbench.errors import InputError
from effbench.measure.source import Loaded, ModelInputs, already_built
from effbench.measure.timing.live import InProcess
from effbench.measure.timing.simulated import MACHINES, Death
from effbench.measure.timing.step_paths import GRADIENTS, LOSS, OPTIMISER
from effbench.records import ErrorFigure, Note, StopRule, TimingPlan

QUIET = MACHINES[0]


def net(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 8))


def entrant(name: str, model: nn.Module, rows: int = 4, plan: TimingPlan | None = None) -> InProcess:
    inputs = ModelInputs((torch.zeros(rows, 8),))
    return InProcess(name, Loaded(name, None, already_built(model), inputs), plan or TimingPlan(threads=1))


def compared(
    monkeypatch: pytest.MonkeyPatch,
    costs_s: list[float],
    rule: StopRule = VERDICT,
    deaths: dict[str, Death] | None = None,
    seed: int = 0,
) -> Compared:
    monkeypatch.setattr("effbench.comparisons.time_entrants", simulated(costs_s, QUIET, deaths, seed))
    return compare_entrants([entrant(name, net(16)) for name in "abc"[: len(costs_s)]], rule)


def test_costs_by_hand_and_as_ratios_to_the_first() -> None:
    found = compare_entrants([entrant("a", net(16)), entrant("b", net(32))], timed=False)
    a, b = found.to_dict()["models"]
    assert (a["params"], a["macs"], a["flops"]) == (8 * 16 + 16 + 16 * 8 + 8, 4 * 2 * 8 * 16, 2 * 4 * 2 * 8 * 16)
    assert (b["params"], b["macs"]) == (8 * 32 + 32 + 32 * 8 + 8, 4 * 2 * 8 * 32)
    assert b["ratios"]["macs"] == b["ratios"]["flops"] == 2.0
    assert b["ratios"]["params"] == b["params"] / a["params"]
    assert set(a["ratios"].values()) == {1.0}
    assert a["peak_activation_bytes"] == 4 * 4 * (8 + 16 + 16)  # the input, the inner activation and its ReLU
    assert (found.verdicts, found.layers, found.notes, a["timing"]) == ((), {}, (), None)


def test_a_batch_that_was_asked_for_is_that_of_the_times_and_not_of_the_costs() -> None:
    plan = TimingPlan(batch=2, threads=1)
    found = compare_entrants([entrant("a", net(16), plan=plan), entrant("b", net(16), plan=plan)], timed=False)
    assert found.to_dict()["models"][0]["macs"] == 4 * 2 * 8 * 16  # of four rows, as the inputs have
    assert found.notes == (Note("batch", "cost", "costs are of the inputs as given, and times of batch 2"),)


def test_a_planted_slow_down_of_3_percent_is_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    found = compared(monkeypatch, [0.01, 0.01 * 1.03], replace(VERDICT, max_rounds=60, margin=0.0))
    (verdict,) = found.verdicts
    assert verdict.verdict == "slower"
    assert verdict.ratio is not None
    assert verdict.ratio.low < 1.03 < verdict.ratio.high
    assert verdict.detectable is not None
    assert verdict.pairs == len(found.models[1].timing.runs) >= 6  # type: ignore[union-attr]


def test_a_model_is_not_different_from_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    verdicts = [compared(monkeypatch, [0.01, 0.01], seed=seed).verdicts[0].verdict for seed in range(6)]
    assert sum(verdict in ("faster", "slower") for verdict in verdicts) <= 1
    assert "same" in verdicts


def test_every_later_model_is_judged_against_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = compared(monkeypatch, [0.01, 0.02, 0.005])
    assert [(item.base, item.other, item.verdict) for item in found.verdicts] == [
        ("a", "b", "slower"),
        ("a", "c", "faster"),
    ]


def test_a_died_worker_costs_its_own_verdict_only(monkeypatch: pytest.MonkeyPatch) -> None:
    found = compared(monkeypatch, [0.01, 0.02, 0.02], deaths={"b": Death(round=0, before_call=None, says="b: killed")})
    assert [item.verdict for item in found.verdicts] == ["undecided", "slower"]
    assert found.died == ("b: killed",)
    assert found.verdicts[0].why == "b died: killed"


def test_a_settled_verdict_is_not_called_unsettled(monkeypatch: pytest.MonkeyPatch) -> None:
    decided = compared(monkeypatch, [0.01, 0.013], replace(VERDICT, max_rounds=6))
    assert decided.verdicts[0].verdict == "slower"
    assert "not-converged" not in {note.code for note in decided.notes}
    open_ = compared(monkeypatch, [0.01, 0.0101], replace(VERDICT, max_rounds=6, margin=0.001))
    assert open_.verdicts[0].verdict == "undecided"
    assert [note.subject for note in open_.notes if note.code == "not-converged"] == ["b"]


def test_a_model_that_raises_has_no_cost_and_the_other_keeps_its_own() -> None:
    found = compare_entrants([entrant("a", net(16)), entrant("b", nn.Linear(9, 8))], timed=False)
    a, b = found.to_dict()["models"]
    assert a["macs"] == 4 * 2 * 8 * 16
    assert (b["params"], b["macs"], b["ratios"]["macs"]) == (None, None, None)
    (told,) = found.died
    assert told.startswith("b: ")
    assert "shapes" in told


def test_different_inputs_are_refused_by_name_and_said_where_they_are_wanted() -> None:
    entrants = [entrant("a", net(16)), entrant("b", net(16), rows=2)]
    with pytest.raises(InputError, match=r"^b: its input is 2×8 float32, and that of a 4×8 float32: .*--mixed$"):
        compare_entrants(entrants, timed=False)
    found = compare_entrants(entrants, timed=False, mixed=True)
    (note,) = found.notes
    assert (note.code, note.subject) == ("inputs-differ", "b")
    assert note.text.startswith("its input is 2×8 float32, and that of a 4×8 float32")


def test_the_layers_of_both_are_timed_and_one_s_own_is_shown_so() -> None:
    deeper = nn.Sequential(*net(16), nn.LayerNorm(8))
    entrants = [entrant("a", net(16)), entrant("b", deeper)]
    before = torch.get_rng_state()
    found = compare_entrants(entrants, timed=False, layers=True)
    rows = {row.path: row for row in found.layers["b"]}
    assert set(rows) == {"0", "1", "2", "3"}
    assert rows["3"].present == "other"
    assert rows["3"].base_s is None
    assert rows["3"].other_s == rows["3"].change_s
    assert all(row.present == "both" and row.base_s for path, row in rows.items() if path != "3")
    assert "layer-times" in {note.code for note in found.notes}
    assert torch.equal(before, torch.get_rng_state())


def test_the_layers_of_a_training_step_have_their_gradients_beside_what_belongs_to_none() -> None:
    plan = TimingPlan(runs="training", threads=1)
    deeper = nn.Sequential(*net(16), nn.LayerNorm(8))
    found = compare_entrants(
        [entrant("a", net(16), plan=plan), entrant("b", deeper, plan=plan)], timed=False, layers=True
    )
    rows = {row.path: row for row in found.layers["b"]}
    assert set(rows) == {"0", "1", "2", "3", LOSS, GRADIENTS, OPTIMISER}
    assert rows["3"].present == "other"
    assert "training steps" in next(note.text for note in found.notes if note.code == "layer-times")


def test_errors_stand_beside_the_costs() -> None:
    errors = {"a": {"top1": ErrorFigure(0.25, "fraction")}}
    found = compare_entrants([entrant("a", net(16)), entrant("b", net(16))], timed=False, errors=errors)
    assert [model["errors"] for model in found.to_dict()["models"]] == [
        {"top1": {"value": 0.25, "unit": "fraction"}},
        {},
    ]


def test_in_python_models_are_compared_in_this_process() -> None:
    small, large = net(16), net(32)
    large.train()
    found = eb.compare(small, large, inputs=torch.zeros(4, 8), timed=False)
    assert [one.name for one in found.models] == ["Sequential #1", "Sequential #2"]
    assert found.models[1].profile is not None
    assert found.models[1].profile.macs == 4 * 2 * 8 * 32
    assert large.training


def test_timed_in_python() -> None:
    rule = StopRule(min_rounds=2, max_rounds=2, calls=3, until="verdict")
    found = eb.compare(net(16), net(16), inputs=torch.zeros(4, 8), rule=rule, plan=TimingPlan(threads=1))
    assert [len(one.timing.runs) for one in found.models if one.timing] == [2, 2]
    assert found.verdicts[0].pairs == 2
    assert "in-process" in {note.code for note in found.notes}
    assert all(one.environment is not None for one in found.models)


@pytest.mark.parametrize(
    ("models", "says"),
    [((nn.ReLU(),), "two models or more"), ((nn.ReLU(), "torchvision:alexnet"), "specs with specs")],
)
def test_what_cannot_be_compared_is_refused(models: tuple[object, ...], says: str) -> None:
    with pytest.raises(InputError, match=says):
        eb.compare(*models, inputs=torch.zeros(1))  # type: ignore[arg-type]
