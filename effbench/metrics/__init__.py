"""How wrong a model is: each metric is what it keeps of a sample, and how a value follows from any resample of those.

Importing this loads neither numpy nor torch: `effbench list metrics` starts at once. torchmetrics computes SSIM; the
others are sums over samples, kept so that every bootstrap draw is exact, and are held against torchmetrics in the
tests.
"""

from effbench.metrics import classification, image, keypoints, segmentation  # noqa: F401  fill the table
from effbench.metrics.accumulate import SAMPLE, Accumulator, evaluation
from effbench.metrics.arrays import Digest, as_array, digest_of
from effbench.metrics.metric import (
    Checked,
    Metric,
    Setting,
    Settings,
    finite,
    metric,
    metrics,
    refuse_missing,
    settled,
    shared_settings,
)
from effbench.metrics.values import as_error, positions_of, table_of, value_of, values_of

__all__ = [
    "SAMPLE",
    "Accumulator",
    "Checked",
    "Digest",
    "Metric",
    "Setting",
    "Settings",
    "as_array",
    "as_error",
    "digest_of",
    "evaluation",
    "finite",
    "metric",
    "metrics",
    "positions_of",
    "refuse_missing",
    "settled",
    "shared_settings",
    "table_of",
    "value_of",
    "values_of",
]
