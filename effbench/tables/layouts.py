"""Tables that are known by their header; data, not code: a layout says of columns what `--map` would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from effbench.registry import Registry


@dataclass(frozen=True, slots=True)
class Layout:
    """A table that several documents share.

    Attributes:
        about: one line.
        header: columns that a table of this kind has; it may have more.
        targets: as `--map` writes them.
        samples: how many samples its shares are usually of. A header cannot know that: it is taken where the digits
            of the table's figures agree.
        remark: what a reader of its costs must know; stands beside each.
    """

    about: str
    header: tuple[str, ...]
    targets: tuple[str, ...]
    samples: int | None = None
    remark: str = ""


layouts: Registry[Layout] = Registry("table layout")

layouts.add(
    "timm-results",
    Layout(
        about="timm's results of pretrained weights on ImageNet-1k and its relatives, a row per weights and image size",
        header=("model", "img_size", "top1_err", "top5_err", "param_count"),
        targets=(
            "model:name",
            "img_size:name",
            "img_size:img_size",
            "top1_err:top1_err:percent",
            "top5_err:top5_err:percent",
            "param_count:params:M",
            "crop_pct:crop_pct",
            "interpolation:interpolation",
        ),
        samples=50_000,
    ),
)

layouts.add(
    "timm-inference",
    Layout(
        about="timm's inference benchmark of one machine, a row per architecture and image size",
        header=("model", "infer_img_size", "infer_samples_per_sec", "infer_step_time", "infer_batch_size"),
        targets=(
            "model:name",
            "infer_img_size:name",
            "infer_img_size:img_size",
            "infer_samples_per_sec:throughput:per_s",
            "infer_step_time:latency:ms",
            "infer_batch_size:batch",
            "param_count:params:M",
            # Its ResNet-50 has 4.11 and its ConvNeXt-B 15.38: fvcore's figures; MACs alone are 4.09 and 15.35.
            "infer_gmacs:macs:G:convention=fvcore",
        ),
        remark="fvcore with attention unfused",
    ),
)


def layout_of(columns: Sequence[str]) -> str | None:
    """Returns the name of the layout that a header fits, the one that asks for most columns; None where none does."""
    fitting = [(len(layout.header), name) for name, layout in layouts.items() if set(layout.header) <= set(columns)]
    return max(fitting)[1] if fitting else None
