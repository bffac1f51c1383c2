"""A suite: models with their inputs and what documents publish of them, read from YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from effbench.errors import InputError
from effbench.records import STRICT, Published
from effbench.store import read_text, validated


@dataclass(frozen=True, slots=True)
class Job:
    """One model of a suite; `spec` is None where its architecture is not published."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT
    name: str
    title: str = ""
    document: str = ""
    spec: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    published: Published | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """A named list of jobs; `folder` is where its relative paths start."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT
    suite: str
    models: tuple[Job, ...]
    about: str = ""
    folder: Path = Path()


def read_suite(path: Path) -> Suite:
    """Returns the suite that a YAML file describes, the jobs' file specs made absolute.

    Raises:
        InputError: the file is missing, is no YAML, or does not fit; the first misfit is named.
    """
    import yaml

    text = read_text(path, "suite")
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: a suite is a mapping with the keys suite and models")
    suite = validated(data, Suite, str(path))
    names = [job.name for job in suite.models]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: the name {twice[0]!r} stands twice: give each model its own")
    folder = path.resolve().parent
    return replace(suite, folder=folder, models=tuple(_resolved(job, folder) for job in suite.models))


def _resolved(job: Job, folder: Path) -> Job:
    if job.spec is None or ".py" not in job.spec:
        return job
    file, colon, name = job.spec.partition(":")
    return replace(job, spec=f"{(folder / file).resolve()}{colon}{name}")
