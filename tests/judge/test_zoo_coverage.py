"""Every figure that torchvision publishes of its models, reproduced: parameters to the last, MACs to its digits.

Each model is built as its published weights make it, without the weights and without memory, and traced on meta at the
size it was measured at. Where the same name without weights is another network, or the published size is not the one
that a spec takes by default, a row of `EXPLAINED` says why, and the test checks that this is all of it.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest
import torch
from helpers import counted, params, traced
from published_zoo import DETECTIONS, as_named, as_published, home, with_boxes, without_memory
from torch import nn

from effbench.api import load
from effbench.measure.source import Loaded

torchvision = pytest.importorskip("torchvision")
models = torchvision.models

pytestmark = pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")

WEIGHTS = [(name, weights) for name in models.list_models() for weights in models.get_model_weights(name)]

Shapes = tuple[tuple[int, ...], ...]


class Figures(NamedTuple):
    """Parameters and MACs, and the calls that no formula covers."""

    params: int
    macs: int | None
    unknown: dict[str, int]
    every_op: int | None


# RAFT's weights have no size of their own.
PAIR_OF_FRAMES = (1, 3, 512, 512)


def measured_at(name: str, weights: Any) -> Shapes:
    """The shapes of the inputs that the published MACs are of; detectors bring any square to a size of their own."""
    if home(name) == "optical_flow":
        return (PAIR_OF_FRAMES, PAIR_OF_FRAMES)
    if home(name) == "detection":
        return ((1, 3, 224, 224),)
    transform = weights.transforms()
    size = transform.resize_size if home(name) == "segmentation" else transform.crop_size
    height, width = (size[0], size[-1])
    return ((1, 3, 16, height, width),) if home(name) == "video" else ((1, 3, height, width),)


def figures(model: nn.Module, shapes: Shapes) -> Figures:
    with pytest.MonkeyPatch.context() as patch:
        # It crops each key point's map to its box, whose corners it reads.
        patch.setattr(models.detection.roi_heads, "keypointrcnn_inference", lambda maps, found: ([], []))
        found = traced(model, *(torch.empty(shape, device="meta") for shape in shapes))
    assert "real-run" not in [note.code for note in found.notes]
    counts, every_op = counted(found), counted(found, "full")
    return Figures(params(found), counts.macs, {**counts.coverage.unknown, **every_op.coverage.unknown}, every_op.total)


# It samples a grid, for which `full` has no formula: once for each level of its correlations at each of its updates.
UNKNOWN_UNDER_FULL = {name: {"aten::grid_sampler_2d": 4 * 12} for name in ("raft_large", "raft_small")}


class Build(NamedTuple):
    """What decides a model's figures: weights that agree in it are measured once, and compared each."""

    name: str
    shapes: Shapes
    params: int
    detections: int

    @classmethod
    def of(cls, name: str, weights: Any) -> Build:
        shapes = measured_at(name, weights)
        return cls(name, shapes, weights.meta["num_params"], DETECTIONS.get(str(weights), 0))


BUILDS: dict[Build, list[Any]] = {}
for _name, _weights in WEIGHTS:
    BUILDS.setdefault(Build.of(_name, _weights), []).append(_weights)


def digits(macs: int | None) -> float:
    """MACs as torchvision prints them: thousands of millions, to three decimals."""
    assert macs is not None
    return round(macs / 1e9, 3)


def test_the_zoo_is_all_here() -> None:
    assert len(WEIGHTS) >= 150
    assert {home(name) for name, _ in WEIGHTS} == {
        *("classification", "quantization", "segmentation", "detection", "video", "optical_flow")
    }


class Reason(NamedTuple):
    """Why the network that a name alone gives is not the published one, and how to state it so that it is."""

    why: str
    options: dict[str, Any]
    frozen: bool = False


AUXILIARY = Reason("the weights come with the auxiliary head they were trained with", {"aux_loss": True})
FROZEN = Reason("with weights the backbone's norms are frozen: their weights are no parameters", {}, frozen=True)
NO_HEADS = Reason("the weights come without the auxiliary heads, which only training uses", {"aux_logits": False})

EXPLAINED = {
    **{f"deeplabv3_{name}": AUXILIARY for name in ("mobilenet_v3_large", "resnet50", "resnet101")},
    **{f"fcn_{name}": AUXILIARY for name in ("resnet50", "resnet101")},
    **{f"fasterrcnn_{name}_fpn": FROZEN for name in ("mobilenet_v3_large", "mobilenet_v3_large_320", "resnet50")},
    **{f"{name}_resnet50_fpn": FROZEN for name in ("fcos", "keypointrcnn", "maskrcnn", "retinanet")},
    **{f"{name}googlenet": NO_HEADS for name in ("", "quantized_")},
    **{
        f"{name}.IMAGENET1K_SWAG_E2E_V1": Reason("another image size needs other positions", {"image_size": size})
        for name, size in (("vit_b_16", 384), ("vit_l_16", 512), ("vit_h_14", 518))
    },
}
"""By name, or by name and weights."""


def freeze(model: nn.Module) -> None:
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                with torch.device("meta"):
                    setattr(parent, name, torchvision.ops.FrozenBatchNorm2d(child.num_features))


def structure(model: nn.Module) -> tuple[str, list[tuple[str, tuple[int, ...]]]]:
    """All that figures follow from: the tree with its layers' settings, save epsilons, and the tensors' shapes."""
    shapes = [(name, tuple(tensor.shape)) for name, tensor in model.state_dict().items()]
    return re.sub(r"eps=[^,)]*|\n *\(\w+\): None", "", repr(model)), shapes


def numel(model: nn.Module) -> int:
    return sum(param.numel() for param in model.parameters())


def test_each_explanation_has_something_to_explain() -> None:
    assert set(EXPLAINED) <= {name for name, _ in WEIGHTS} | {f"{name}.{weights.name}" for name, weights in WEIGHTS}


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: f"{build.name}-{build.shapes[0][-1]}")
def test_what_is_published_is_reproduced(build: Build) -> None:
    published = as_published(build.name, BUILDS[build][0])
    assert_explained(build.name, BUILDS[build][0], published)

    found = figures(published, build.shapes)
    for weights in BUILDS[build]:
        assert found.params == weights.meta["num_params"]
        assert digits(found.macs) == weights.meta["_ops"]
    assert found.unknown == UNKNOWN_UNDER_FULL.get(build.name, {})
    if not found.unknown:
        assert found.every_op is not None
        assert found.macs is not None
        assert found.every_op > 2 * found.macs


def assert_explained(name: str, weights: Any, published: nn.Module) -> None:
    """The name alone gives the same network, or what `EXPLAINED` states makes it so, and nothing less does."""
    reason = EXPLAINED.get(f"{name}.{weights.name}", EXPLAINED.get(name, Reason("", {})))
    if reason.why:
        assert numel(as_named(name)) != numel(published), f"take it off the list: {reason.why}"
    stated = as_named(name, **reason.options)
    if reason.frozen:
        freeze(stated)
    assert structure(stated) == structure(published)


# The loader's size is that of the demonstrations, for which there is no published figure.
OTHER_SIZES = {"raft_large": (1, 3, 520, 960), "raft_small": (1, 3, 520, 960)}


@pytest.mark.parametrize("name", sorted({name for name, _ in WEIGHTS}))
def test_a_spec_takes_the_smallest_size_that_is_published_or_it_is_explained(name: str) -> None:
    source = load(f"torchvision:{name}")
    assert isinstance(source, Loaded)
    taken = tuple(tuple(item.shape) for item in source.inputs.args)
    smallest = min(measured_at(name, weights) for weights in models.get_model_weights(name))
    if name in OTHER_SIZES:
        assert taken == (OTHER_SIZES[name],) * len(smallest) != smallest
    else:
        assert taken == smallest


@pytest.mark.parametrize(
    ("name", "proposals", "detections", "each"),
    [
        # two linear layers and the predictor's classes and corners; 91 classes, or a person and nothing
        ("fasterrcnn_mobilenet_v3_large_320_fpn", 150, 0, 256 * 49 * 1024 + 1024 * 1024 + 1024 * 91 * 5),
        ("keypointrcnn_resnet50_fpn", 1000, 0, 256 * 49 * 1024 + 1024 * 1024 + 1024 * 2 * 5),
        # eight convolutions of 14 × 14 and a transposed one to 17 maps
        ("keypointrcnn_resnet50_fpn", 0, 1, 196 * (9 * 512 * (256 + 7 * 512) + 16 * 512 * 17)),
        # four convolutions of 14 × 14, a transposed one to 28 × 28, and a class a map
        ("maskrcnn_resnet50_fpn", 0, 100, 196 * (4 * 9 * 256**2 + 4 * 256**2) + 784 * 256 * 91),
    ],
)
def test_what_boxes_add_to_a_published_figure(name: str, proposals: int, detections: int, each: int) -> None:
    """Why a run's figure is not the published one: it has boxes, as many as its data make."""
    with without_memory(name):
        models_of = [models.get_model(name, weights=None, weights_backbone=None) for _ in range(2)]
    none = figures(with_boxes(models_of[0], 0, 0), ((1, 3, 64, 64),)).macs
    some = figures(with_boxes(models_of[1], proposals, detections), ((1, 3, 64, 64),)).macs
    assert none is not None
    assert some == none + (proposals + detections) * each
