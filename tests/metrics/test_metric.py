"""Metrics of users, settings, and what the table of metrics says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import effbench
from effbench.errors import InputError, ModelError, UnknownName
from effbench.metrics import (
    Setting,
    evaluation,
    metric,
    metrics,
    refuse_missing,
    settled,
    shared_settings,
    value_of,
    values_of,
)
from effbench.registry import Registry


@pytest.fixture(autouse=True)
def own_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers goes with it."""
    before = dict(metrics._entries)
    yield
    metrics._entries.clear()
    metrics._entries.update(before)


def test_a_metric_of_a_user_is_a_mean_unless_it_says_otherwise() -> None:
    @metric(
        "cubed", unit="mm³", direction="lower", settings=(Setting("scale", float, "mm for each unit", default=2.0),)
    )
    def cubed(predictions: Any, targets: Any, settings: Any) -> Any:
        """Mean cubed difference."""
        return {"value": np.abs(predictions - targets) ** 3 * settings["scale"] ** 3}

    kept = evaluation("cubed", {}, [1.0, 2.0, np.nan], [0.0, 0.0, 0.0])
    assert value_of(kept) == (8 * 1 + 8 * 8) / 2
    assert values_of(kept, [[2, 0], [0, 2]]).tolist() == [8, 64]
    assert (kept.unit, kept.settings, kept.left_out) == ("mm³", {"scale": 2.0}, {"prediction not finite": 1})
    assert metrics.get("cubed").about == "Mean cubed difference"


def test_names_are_taken_once_and_near_ones_suggested() -> None:
    with pytest.raises(InputError, match="metric 'top1' is registered already"):
        metric("top1", unit="fraction", direction="higher")(lambda predictions, targets, settings: {})
    with pytest.raises(UnknownName, match="unknown metric 'pixel_eror': did you mean pixel_error"):
        evaluation("pixel_eror", {}, [0], [0])
    with pytest.raises(InputError, match="metric 'm' has no unit"):
        metric("m", unit="", direction="lower")(lambda predictions, targets, settings: {})
    with pytest.raises(InputError, match="direction must be lower or higher, not 'up'"):
        metric("m", unit="x", direction="up")(lambda predictions, targets, settings: {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gives", "said"),
    [
        ({"value": [1.0]}, "per_sample gave 'value' of shape .1,., not one number for each of 2"),
        ({"sample": [1.0, 2.0]}, "per_sample gave 'sample' of shape"),
        ({"value": ["a", "b"]}, "per_sample gave no numbers by name: ValueError"),
        ([1.0, 2.0], "per_sample gave no numbers by name: AttributeError"),
        ({}, "per_sample gave no statistic"),
    ],
)
def test_a_user_s_metric_that_gives_something_else_is_told(gives: Any, said: str) -> None:
    metric("odd", unit="x", direction="lower")(lambda predictions, targets, settings: gives)
    with pytest.raises(ModelError, match=f"metric odd: {said}"):
        evaluation("odd", {}, [1.0, 2.0], [0.0, 0.0])


def test_a_user_s_metric_that_raises_is_told() -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("by nothing")

    metric("broken", unit="x", direction="lower")(broken)
    with pytest.raises(ModelError, match="metric broken: its own code raised ZeroDivisionError: by nothing"):
        evaluation("broken", {}, [1.0], [0.0])
    metric("uncounted", unit="x", direction="lower", aggregate=broken)(lambda p, t, s: {"value": p})
    with pytest.raises(ModelError, match="metric uncounted: its own code raised"):
        value_of(evaluation("uncounted", {}, [1.0], [0.0]))


def test_settings_are_read_from_text_as_from_python() -> None:
    entry = metrics.get("pixel_error")
    expected = {"width": 224.0, "height": 112.0, "normalized": 1}
    for given in (
        {"width": "224", "height": "112", "normalized": "true"},
        {"width": 224, "height": 112.0, "normalized": True},
        {"width": np.float64(224), "height": np.int64(112), "normalized": "1"},
    ):
        found = settled(entry, given)
        assert found == expected
        assert [type(value) for value in found.values()] == [float, float, int]


def test_an_unknown_setting_is_told() -> None:
    with pytest.raises(UnknownName, match="unknown setting of pixel_error 'widht': did you mean width"):
        settled(metrics.get("pixel_error"), {"widht": 1})


def test_metrics_share_one_table_of_settings() -> None:
    entries = [metrics.get(name) for name in ("top1", "f1", "mse")]
    assert shared_settings(entries, {"num_classes": 3}) == (
        {"num_classes": 3},
        {"num_classes": 3, "average": "macro"},
        {},
    )
    with pytest.raises(UnknownName, match="unknown setting of top1, f1, mse 'width'"):
        shared_settings(entries, {"width": 3})


def test_all_settings_that_are_missing_are_told_at_once() -> None:
    pck, psnr = metrics.get("pck"), metrics.get("psnr")
    chosen = [(pck, {"t": 0.1, "width": 8, "reference": "pair"}), (psnr, {}), (metrics.get("top1"), {})]
    with pytest.raises(InputError) as told:
        refuse_missing(chosen, "; or else")
    words = "--setting height=N --setting normalized=N --setting first=N --setting second=N --setting data_range=N"
    assert str(told.value).startswith(f"pck, psnr: settings are missing: add {words}: height (of the image")
    assert str(told.value).endswith("255 for bytes); or else")
    with pytest.raises(InputError, match=r"add --setting reference=NAME: reference \(longer_side or diagonal"):
        shared_settings([pck, psnr], {"width": 8, "height": 8, "normalized": 0, "t": 1, "data_range": 1})
    needed = {"width": 8, "height": 8, "normalized": 0, "t": 1}
    refuse_missing([(pck, {**needed, "reference": "box"})])
    with pytest.raises(InputError, match="add --setting second=N: second"):
        refuse_missing([(pck, {**needed, "reference": "pair", "first": 0})])


def test_a_record_with_odd_statistics_is_told() -> None:
    kept = evaluation("mse", {}, [1.0, 2.0], [0.0, 0.0], data="toy")
    with pytest.raises(InputError, match="mse on toy lacks its 'numbers'"):
        value_of(replace(kept, per_sample={"squares_sum": (1.0, 4.0)}))
    with pytest.raises(InputError, match="mse: 1 values of 'numbers' for 2 samples"):
        value_of(replace(kept, per_sample={**kept.per_sample, "numbers": (1.0,)}))


def test_every_metric_says_what_it_is() -> None:
    assert isinstance(metrics, Registry)
    for name, entry in metrics.items():
        assert entry.name == name
        assert entry.about
        assert entry.needs
        assert all(setting.about for setting in entry.settings)
        assert not entry.error or metrics.get(entry.error).direction == "lower"


def test_looking_at_the_metrics_loads_nothing_heavy() -> None:
    code = "import json, sys, effbench.metrics; print(json.dumps(sorted(sys.modules)))"
    root = Path(effbench.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert loaded & {"numpy", "torch", "torchmetrics", "scipy", "pandas", "pydantic"} == set()


def test_values_of_an_evaluation_load_no_torch() -> None:
    code = (
        "import sys; from effbench.metrics import evaluation, values_of;"
        "kept = evaluation('f1', {}, [0, 1, 1], [0, 1, 0]); values_of(kept, [[1, 2, 0]]); print('torch' in sys.modules)"
    )
    root = Path(effbench.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "False"
