"""The torchvision classification zoo: nothing unknown, and the parameters and MACs that its authors publish.

Built without weights' memory and traced at the size that each model's own weights were measured at.
"""

from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from helpers import counted, params, traced
from torch.overrides import TorchFunctionMode

models = pytest.importorskip("torchvision.models")

pytestmark = pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")

NAMES: list[str] = models.list_models(module=models)

# What a name alone does not build: the published network has no auxiliary heads, or takes another image size.
OPTIONS: dict[str, dict[str, Any]] = {"googlenet": {"aux_logits": False}, "vit_h_14": {"image_size": 518}}

# Models whose count is not the published one at its three decimals of a GMAC, each with the reason: none.
DIFFERENT: dict[str, str] = {}


class WeightsOnMeta(TorchFunctionMode):
    """Keeps the memory of layers on meta and lets the constructor compute with the tensors it makes itself."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        if func is torch.empty:  # what layers reserve their weights with
            options["device"] = "meta"
        return func(*args, **options)


def without_memory(name: str) -> AbstractContextManager[Any]:
    """RegNets compute their widths with tensors and read them, which meta cannot."""
    return WeightsOnMeta() if name.startswith("regnet") else torch.device("meta")


def test_the_zoo_is_all_here() -> None:
    assert len(NAMES) >= 80
    assert set(OPTIONS) | set(DIFFERENT) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_covered_and_equal_to_what_is_published(name: str) -> None:
    weights = models.get_model_weights(name).DEFAULT
    (crop,) = weights.transforms().crop_size
    with without_memory(name):
        model = models.get_model(name, **OPTIONS.get(name, {}))
    found = traced(model, torch.empty(1, 3, crop, crop, device="meta"))

    counts, every_op = counted(found), counted(found, "full")
    assert counts.coverage.unknown == every_op.coverage.unknown == {}
    assert params(found) == weights.meta["num_params"]

    assert counts.macs is not None
    assert every_op.total is not None
    assert every_op.total > 2 * counts.macs
    difference = abs(counts.macs / 1e9 - weights.meta["_ops"])
    if name in DIFFERENT:
        assert difference > 0.0005, f"{name} equals what is published: take it off the list"
    else:
        assert difference <= 0.0005
