"""Facts of a published zoo, computed independently: what the literal score makes of 1,556 models, and their front."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from effbench.judge.board import Rules
from effbench.judge.candidate import Candidate, Figure
from effbench.judge.rank import rank
from effbench.judge.scores import score_of

DATA = Path(__file__).parents[3] / "shared" / "data"
RESULTS, INFERENCE = DATA / "timm-results-imagenet.csv", DATA / "timm-infer-amp-4090.csv"
pytestmark = pytest.mark.skipif(not RESULTS.exists() or not INFERENCE.exists(), reason="the tables are not here")


@pytest.fixture(scope="module")
def models() -> list[Candidate]:
    """The rows of both tables that are of one architecture and image size."""
    with INFERENCE.open() as file:
        speeds = {(row["model"], row["infer_img_size"]): row for row in csv.DictReader(file)}
    with RESULTS.open() as file:
        rows = list(csv.DictReader(file))
    pairs = [(row, speeds.get((row["model"].partition(".")[0], row["img_size"]))) for row in rows]
    return [joined(row, speed) for row, speed in pairs if speed is not None]


def joined(row: dict[str, str], speed: dict[str, str]) -> Candidate:
    figures = {
        "params": Figure(float(row["param_count"].replace(",", "")) * 1e6),
        "flops": Figure(2e9 * float(speed["infer_gmacs"].replace(",", ""))),
        "throughput": Figure(float(speed["infer_samples_per_sec"].replace(",", "")), direction="higher"),
        "error": Figure(float(row["top1_err"]) / 100, unit="fraction"),
    }
    return Candidate(f"{row['model']}@{row['img_size']}", figures)


def test_the_literal_score_is_cost_alone(models: list[Candidate]) -> None:
    ranking = rank(models, score_of("params_flops_exp"), "top1_err", Rules(shown=()))
    assert len(ranking.rows) == 1556
    cost = [row.params * row.flops for row in ranking.rows if row.params and row.flops]
    assert spearmanr([row.order for row in ranking.rows], cost).statistic >= 0.999
    (note,) = [note for note in ranking.notes if note.code == "dead-term" and note.subject == "top1_err"]
    assert note.text.startswith("does not matter: Spearman 0.999")


def test_thirty_three_models_are_on_the_front_of_time_and_error(models: list[Candidate]) -> None:
    trade = rank(models, score_of("1/throughput * exp(error)"), "top1_err", Rules(shown=())).groups[0].trade
    assert (trade.axes, trade.on_front) == (("throughput", "error"), 33)
    times = np.array([1 / one.figures["throughput"].value for one in models])
    errors = np.array([one.figures["error"].value for one in models])
    better = (times[:, None] >= times) & (errors[:, None] >= errors)
    strictly = (times[:, None] > times) | (errors[:, None] > errors)
    assert int((~(better & strictly).any(axis=1)).sum()) == 33
