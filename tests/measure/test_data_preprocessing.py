"""What is done to images: the same as torchvision and timm do, said in words; and which way is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torchvision import models
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

from effbench.errors import InputError
from effbench.measure.data.chosen import Model, Wanted, choose
from effbench.measure.data.preprocess import Steps

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    drawn = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(drawn).convert(mode)


@pytest.mark.parametrize("size", [(40, 31), (31, 40), (17, 17), (9, 30)])
@pytest.mark.parametrize(
    ("resize", "crop"), [((20,), (15, 15)), ((18, 25), (16, 9)), ((13,), (20, 21)), ((), (14, 14))]
)
def test_steps_are_torchvision_s(size: tuple[int, int], resize: tuple[int, ...], crop: tuple[int, int]) -> None:
    resized = [Resize(resize[0] if len(resize) == 1 else resize, InterpolationMode.BICUBIC)] if resize else []
    peer: Any = Compose([*resized, CenterCrop(crop), ToTensor(), Normalize(MEAN, STD)])
    ours = Steps(resize, crop, MEAN, STD, "bicubic")
    image = noise(*size)
    torch.testing.assert_close(ours(image), peer(image), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "resize", "crop", "pads"),
    [
        ((40, 31), (), (31, 40), False),
        ((40, 31), (), (32, 40), True),  # by one row, at the end
        ((40, 31), (), (31, 41), True),
        ((40, 31), (32,), (32, 32), False),
        ((40, 31), (32,), (33, 32), True),
        ((40, 31), (50, 60), (50, 60), False),
        ((40, 31), (), (), False),
    ],
)
def test_steps_say_which_images_are_padded(
    size: tuple[int, int], resize: tuple[int, ...], crop: tuple[int, ...], pads: bool
) -> None:
    steps = Steps(resize, crop)
    assert steps.pads(*size) is pads
    white = steps(Image.new("RGB", size, (255, 255, 255)))
    assert bool((white == 0).any()) is pads


def test_a_grey_image_has_one_channel_and_normalising_is_by_hand() -> None:
    grey = Image.new("L", (3, 2), 51)
    found = Steps(mean=(0.1,), std=(0.5,))(grey)
    assert found.shape == (1, 2, 3)
    assert torch.unique(found).tolist() == pytest.approx([(51 / 255 - 0.1) / 0.5])
    with pytest.raises(InputError, match="--mean has 3 numbers and an image 1 channels"):
        Steps(mean=MEAN, std=STD)(grey)


def test_steps_say_what_they_do() -> None:
    assert Steps((256,), (224, 224), MEAN, STD, "bicubic", "RGB").text() == (
        "resize shorter side to 256 (bicubic), centre crop 224×224, 3 channels, pixels / 255, "
        "mean 0.485/0.456/0.406, std 0.229/0.224/0.225"
    )
    assert Steps().text() == "pixels / 255"


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ({"mean": MEAN}, "--mean has 3 and --std 0"),
        ({"mean": (0.5,), "std": (0.0,)}, "0 cannot be divided by"),
        ({"mean": (0.5,), "std": (1.0,), "mode": "RGB"}, "one of each for every channel"),
    ],
)
def test_steps_that_cannot_be_are_refused(steps: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Steps(**steps)


def test_torchvision_s_weights_bring_their_own() -> None:
    found = choose(Wanted(), Model("torchvision:resnet18"))
    image = noise(300, 280)
    assert torch.equal(found.apply(image), models.ResNet18_Weights.IMAGENET1K_V1.transforms()(image))
    assert found.text == (
        "ResNet18_Weights.IMAGENET1K_V1: resize shorter side to 256 (bilinear), centre crop 224×224, 3 channels, "
        "pixels / 255, mean 0.485/0.456/0.406, std 0.229/0.224/0.225"
    )
    assert (found.size, found.mode) == ((224, 224), "RGB")
    assert found.pads is not None
    assert not found.pads(30, 20)  # which is enlarged first
    # resnet50's default weights are its second ones, which were measured at 232.
    second = choose(Wanted(), Model("torchvision:resnet50"))
    assert "shorter side to 232" in second.text
    first = choose(Wanted(), Model("torchvision:resnet50", {"weights": "IMAGENET1K_V1"}))
    assert "shorter side to 256" in first.text
    with pytest.raises(InputError, match="did you mean IMAGENET1K_V"):
        choose(Wanted(), Model("torchvision:resnet50", {"weights": "IMAGENET1K_V3"}))


def test_timm_s_weights_bring_their_own() -> None:
    found = choose(Wanted("weights"), Model("timm:resnet10t.c3_in1k"))
    config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg("resnet10t.c3_in1k").to_dict())
    image = noise(300, 280)
    assert torch.equal(found.apply(image), timm.data.create_transform(**config)(image))
    assert found.size == tuple(config["input_size"][1:])
    assert found.text == (  # 201 is 176 / 0.875, its share of the crop, rounded down
        "timm resnet10t.c3_in1k: resize shorter side to 201 (bicubic), centre crop 176×176, 3 channels, pixels / 255, "
        "mean 0.485/0.456/0.406, std 0.229/0.224/0.225; timm's own results are at 224×224"
    )


FUNCTIONS = """
import torch

def half(image):
    return torch.full((3, 2, 2), 0.5)

def both(image, points):
    return torch.zeros(3, 2, 2), points * 2

constant = 3
"""


def test_a_function_of_the_user_is_called(tmp_path: Path) -> None:
    (tmp_path / "prep.py").write_text(FUNCTIONS)
    one = choose(Wanted(f"{tmp_path}/prep.py:half"), Model())
    assert (one.text, one.paired) == ("prep.py:half", False)
    assert one.apply(noise(4, 4)).unique().tolist() == [0.5]
    assert choose(Wanted(f"{tmp_path}/prep.py:both"), Model()).paired
    for name, said in (("thirds", "unknown name"), ("constant", "is a int, not a function")):
        with pytest.raises(InputError, match=said):
            choose(Wanted(f"{tmp_path}/prep.py:{name}"), Model())


def test_which_way_is_meant() -> None:
    resnet, own = Model("torchvision:resnet18"), Model("net.py:Net")
    assert choose(Wanted("none"), resnet).text == "pixels / 255"
    assert choose(Wanted(), own).default
    assert choose(Wanted(crop=(8, 8), channels=1), resnet).text == "centre crop 8×8, 1 channel, pixels / 255"
    for wanted, said in (
        (Wanted("weights"), "net.py:Net does not say how its images were prepared"),
        (Wanted("weight"), "write weights, none or"),
        (Wanted("none", crop=(8, 8)), "leave --resize, --crop"),
        (Wanted(channels=2), "an image has 1 or 3"),
        (Wanted(interpolation="cubic"), "did you mean bicubic"),
    ):
        with pytest.raises(InputError, match=said):
            choose(wanted, own)
