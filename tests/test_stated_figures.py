"""What a ranking makes of figures that somebody states: which way is better, what is possible, what n means."""

from __future__ import annotations

import pytest
from helpers import traced
from torch import nn

import effbench as eb
from effbench.errors import InputError
from effbench.judge.candidate import Figure
from effbench.judge.evidence import Share
from effbench.judge.ranking import Ranking
from effbench.rankings.metric_choice import MetricChoice
from effbench.records import CostFigure, ErrorFigure, Published, Record
from effbench.store import Stored, view


def stated(name: str, metric: str, value: float, unit: str = "percent", n: int | None = None) -> Stored:
    cost = CostFigure(1.0, "GMAC", "macs")
    return Stored(Record(name, published=Published(10**6, cost, {metric: ErrorFigure(value, unit, n=n)})), None)


def figure(metric: str, n: int) -> Figure:
    found = MetricChoice(metric).figure(view(stated("a", metric, 80.0, n=n).record))
    assert isinstance(found, Figure)
    return found


def order(ranking: Ranking) -> list[str]:
    return [row.name for row in ranking.rows]


@pytest.mark.parametrize("metric", ["mAP", "AP", "auc", "IoU", "dice", "top1_acc", "val_accuracy"])
def test_a_known_quality_is_better_where_it_is_higher(metric: str) -> None:
    ranking = eb.rank([stated("good", metric, 90.0), stated("bad", metric, 10.0)], metric)
    assert order(ranking) == ["good", "bad"]
    assert [row.error for row in ranking.rows] == [pytest.approx(0.1), pytest.approx(0.9)]
    assert "direction" not in {note.code for note in ranking.notes}


def test_a_name_that_says_nothing_is_taken_as_an_error_and_said_so() -> None:
    ranking = eb.rank([stated("a", "niceness", 90.0), stated("b", "niceness", 10.0)], "niceness")
    assert order(ranking) == ["b", "a"]
    (note,) = [note for note in ranking.notes if note.code == "direction"]
    assert note.text.endswith("niceness is no metric that effbench knows: taken as an error, lower is better")


def test_an_error_rate_above_all_is_left_out_and_a_word_error_rate_is_not() -> None:
    ranking = eb.rank([stated("a", "top1_err", 30.0), stated("b", "top1_err", 150.0)], "top1_err")
    assert order(ranking) == ["a"]
    (left,) = ranking.excluded
    assert left.reason == "its top1_err of 150.0 is more than all, in percent: check its unit"
    assert order(eb.rank([stated("a", "wer", 30.0), stated("b", "wer", 150.0)], "wer")) == ["a", "b"]


@pytest.mark.parametrize("metric", ["top1", "top5_err", "accuracy", "error_rate", "some_err"])
def test_a_share_of_n_samples_has_a_binomial_spread(metric: str) -> None:
    assert figure(metric, 1000).evidence == Share(80.0, 1000, "percent")


@pytest.mark.parametrize("metric", ["f1", "precision", "recall", "miou", "mAP", "auc"])
def test_what_is_no_share_of_samples_has_no_spread_by_their_number(metric: str) -> None:
    assert figure(metric, 1000).evidence is None


def test_the_cost_of_eight_samples_is_not_compared_with_that_of_one() -> None:
    trace = traced(nn.Linear(1000, 1000), (8, 1000))
    own = Record("own", trace=trace.digest(), errors={"loss": ErrorFigure(1.0, "none")})
    other = stated("other", "loss", 1.0, "none")
    with pytest.raises(InputError, match=r"batch of the cost differs: 8 \(own\), 1 \(other\)"):
        eb.rank([Stored(own, trace), other], "loss")
    assert len(eb.rank([Stored(own, trace), other], "loss", mixed=True).rows) == 2
