"""Networks of torchvision as their published weights make them: without the weights, and without memory."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

models = pytest.importorskip("torchvision.models")


# Its quantised network is published with the auxiliary head, which only training uses and which that has no more.
STATED: dict[str, dict[str, Any]] = {"quantized_inception_v3": {"aux_logits": True}}


class WeightsOnMeta(TorchFunctionMode):
    """Keeps the memory of layers on meta and lets the constructor compute with the tensors it makes itself."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        if func is torch.empty:  # what layers reserve their weights with
            options["device"] = "meta"
        return func(*args, **options)


@contextmanager
def without_memory(name: str) -> Iterator[None]:
    """RegNets compute their widths with tensors and read them, which meta cannot."""
    with WeightsOnMeta() if "regnet" in name else torch.device("meta"):
        yield


@contextmanager
def nothing_loaded() -> Iterator[None]:
    """Weights are asked for, which decides what is built, but none are fetched and none are put in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models._api.WeightsEnum, "get_state_dict", lambda self, *args, **kwargs: {})
        patch.setattr(nn.Module, "load_state_dict", lambda self, *args, **kwargs: None)
        yield


def home(name: str) -> str:
    """The family: "detection", "video", …; "classification" for what lies in torchvision.models itself."""
    package = models.get_model_builder(name).__module__.split(".")[2:-1]
    return package[0] if package else "classification"


def as_published(name: str, weights: Any) -> nn.Module:
    """The network that the weights are of; a quantised one's figures are those of the one it was made from."""
    source = weights.meta.get("unquantized", weights)
    options = {"quantize": False, **STATED.get(name, {})} if home(name) == "quantization" else {}
    with without_memory(name), nothing_loaded():
        model = models.get_model(name, weights=source, **options)
    return with_boxes(model, all_proposals(model), DETECTIONS.get(str(weights), 0))


def as_named(name: str, **options: Any) -> nn.Module:
    """The network that the name gives without weights, as a spec does."""
    builder = models.get_model_builder(name)
    options |= {"weights_backbone": None} if "weights_backbone" in inspect.signature(builder).parameters else {}
    with without_memory(name):
        return models.get_model(name, weights=None, **options)  # type: ignore[no-any-return]


# What follows a detector's boxes costs by the box. Published is what one costs that keeps all the proposals it may; and
# masks and key points are looked for in as many of them as the image that was measured had detections.
DETECTIONS = {"KeypointRCNN_ResNet50_FPN_Weights.COCO_V1": 1, "MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1": 100}


def all_proposals(model: Any) -> int:
    """As many as a detector keeps in evaluation; none where it keeps only those above a score."""
    if not hasattr(model, "rpn") or model.rpn.score_thresh > 0:
        return 0
    return int(model.eval().rpn.post_nms_top_n())


def with_boxes(model: Any, proposals: int, detections: int) -> nn.Module:
    """A detector whose choice of boxes, which reads data, is replaced by a number of boxes; others as they are."""
    if not hasattr(model, "transform"):
        return model  # type: ignore[no-any-return]
    model.transform.postprocess = lambda result, *sizes: result
    if hasattr(model, "rpn"):
        _with_proposals(model, proposals, detections)
    else:
        model.postprocess_detections = lambda *found: []
    if hasattr(model.backbone, "features") and not hasattr(model, "rpn"):
        model.anchor_generator.forward = lambda *found: []  # SSD's are made where the constructor ran
    return model  # type: ignore[no-any-return]


def _with_proposals(model: Any, proposals: int, detections: int) -> None:
    heads = model.roi_heads
    labels = torch.empty(detections, dtype=torch.int64, device="meta")
    model.rpn.filter_proposals = lambda *found: ([boxes(proposals)], [])
    heads.postprocess_detections = lambda *found: ([boxes(detections)], [labels], [labels])
    for pool in (heads.box_roi_pool, heads.mask_roi_pool, heads.keypoint_roi_pool):
        if pool is not None:
            pool.forward = pooled(pool.output_size)


def boxes(count: int) -> Tensor:
    return torch.empty(count, 4, device="meta")


def pooled(size: tuple[int, int]) -> Any:
    """What a region pool gives of every box, whichever feature map it reads."""

    def forward(features: dict[str, Tensor], found: list[Tensor], sizes: Any) -> Tensor:
        first = next(iter(features.values()))
        return first.new_empty(len(found[0]), first.shape[1], *size)

    return forward
