"""Moving data costs nothing under any convention and is never unknown."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers import counted, traced, traced_for_real
from torch import Tensor, nn
from torch.nn import functional as F

MOVES = [
    pytest.param(lambda x: x.reshape(4, -1), id="reshape"),
    pytest.param(lambda x: x.transpose(1, 2).reshape(-1), id="reshape-copies"),
    pytest.param(lambda x: x.permute(0, 2, 3, 1).contiguous(), id="permute"),
    pytest.param(lambda x: x.flatten(1), id="flatten"),
    pytest.param(lambda x: x.unflatten(1, (2, 2)), id="unflatten"),
    pytest.param(lambda x: x.squeeze().unsqueeze(0), id="squeeze"),
    pytest.param(lambda x: x.expand(3, -1, -1, -1).clone(), id="expand"),
    pytest.param(lambda x: x.repeat(2, 1, 1, 1), id="repeat"),
    pytest.param(lambda x: x.repeat_interleave(2, 1), id="repeat_interleave"),
    pytest.param(lambda x: torch.cat([x, x], 1), id="cat"),
    pytest.param(lambda x: torch.stack([x, x]), id="stack"),
    pytest.param(lambda x: x.chunk(2, 1), id="chunk"),
    pytest.param(lambda x: x.split([1, 3], 1), id="split"),
    pytest.param(lambda x: torch.ops.aten.unsafe_split(x, 2, 1), id="unsafe_split"),
    pytest.param(lambda x: x.unbind(1), id="unbind"),
    pytest.param(lambda x: x[:, 1:, ::2], id="slice"),
    pytest.param(lambda x: x[:, torch.tensor([0, 2], device=x.device)], id="index"),
    pytest.param(lambda x: x.gather(1, torch.zeros_like(x, dtype=torch.long)), id="gather"),
    pytest.param(lambda x: x.index_select(1, torch.tensor([0, 2], device=x.device)), id="index_select"),
    pytest.param(lambda x: x.roll(1, 2), id="roll"),
    pytest.param(lambda x: x.rot90(1, (2, 3)), id="rot90"),
    pytest.param(lambda x: x.flip(3), id="flip"),
    pytest.param(lambda x: x.tril(), id="tril"),
    pytest.param(lambda x: F.pad(x, (1, 1, 2, 2)), id="pad"),
    pytest.param(lambda x: F.pad(x, (1, 1, 1, 1), mode="replicate"), id="pad-replicate"),
    pytest.param(lambda x: x.to(torch.float64), id="dtype"),
    pytest.param(lambda x: x.half().float(), id="half"),
    pytest.param(lambda x: x.detach(), id="detach"),
    pytest.param(lambda x: x.unfold(2, 2, 1), id="unfold"),
    pytest.param(lambda x: F.unfold(x, 2), id="im2col"),
    pytest.param(lambda x: torch.meshgrid(x[0, 0, 0], x[0, 0, 1], indexing="ij"), id="meshgrid"),
    pytest.param(lambda x: torch.zeros_like(x), id="zeros_like"),
    pytest.param(lambda x: x.new_full((3,), 2.0), id="new_full"),
    pytest.param(lambda x: torch.arange(3, device=x.device), id="arange"),
    pytest.param(lambda x: torch.rand_like(x), id="rand_like"),
    pytest.param(lambda x: torch.view_as_complex(x.reshape(1, 4, 2, 3, 2)), id="complex"),
    pytest.param(nn.PixelShuffle(2), id="pixel_shuffle"),
    pytest.param(nn.PixelUnshuffle(2), id="pixel_unshuffle"),
    pytest.param(nn.ChannelShuffle(2), id="channel_shuffle"),
    pytest.param(nn.ReflectionPad2d(1), id="reflection"),
    pytest.param(nn.CircularPad2d(1), id="circular"),
]


@pytest.mark.parametrize("model", MOVES)
def test_free_under_every_kind_of_arithmetic(model: Callable[[Tensor], Any]) -> None:
    found = traced(model, (1, 4, 2, 6))
    for convention in ("macs", "full"):
        counts = counted(found, convention)
        assert (counts.total, counts.coverage.counted, counts.coverage.unknown) == (0, 0, {})
    assert len(found.ops) > 0


def test_looking_up_an_embedding_is_free() -> None:
    ids = torch.zeros(2, 3, dtype=torch.long)
    for found in (traced(nn.Embedding(10, 4), ids), traced_for_real(nn.Embedding(10, 4), ids)):
        assert counted(found, "full").total == 0
