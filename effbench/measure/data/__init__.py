"""Data sets: a folder of images, a CSV of images, arrays in an npz, a data set of torchvision, or one of the user."""

from __future__ import annotations

from dataclasses import replace

from effbench.measure.data import csv_table, folder, npz_file, python_data, torchvision_data  # noqa: F401  fill the table
from effbench.measure.data.source import Data, Request, data_sources, kind_of_source

__all__ = ["Data", "Request", "data_sources", "open_data"]


def open_data(request: Request) -> Data:
    """Returns the data set that a request's text names, found but not read.

    Raises:
        InputError: nothing is found there, or it is not what it must be.
    """
    kind, target = kind_of_source(request.source)
    return data_sources.get(kind)(replace(request, target=target))
