"""`DIR`: a folder of images in class sub-folders; the sorted names of the sub-folders are 0, 1, 2, …"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from effbench.errors import InputError
from effbench.measure.data.images import ImageFiles, Listed, endings, require_pillow
from effbench.measure.data.source import Data, Request, data_sources, refuse_arguments, refuse_named_only
from effbench.metrics.words import by_index, class_indices
from effbench.records import Note


@data_sources.register("folder")
def open_folder(request: Request) -> Data:
    """Returns the images below a folder, class by class in order of name, as torchvision's ImageFolder orders them.

    Raises:
        InputError: it has no class sub-folders, or no image in them.
    """
    require_pillow()
    refuse_arguments(request)
    refuse_named_only(request)
    root = Path(request.target)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    folders = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not folders:
        raise InputError(f"{root}: has no class sub-folders: put the images of each class into a folder of its own")
    indices = class_indices(tuple(folders), request.index, str(root))
    found: list[tuple[Path, int]] = []
    passed: list[Path] = [path for path in sorted(root.iterdir()) if path.is_file() and path.name[0] != "."]
    empty: list[str] = []
    for name, index in zip(folders, indices, strict=True):
        images, others = _below(root / name)
        found += [(path, index) for path in images]
        passed += others
        empty += [] if images else [name]
    if not found:
        raise InputError(f"{root}: no image in its {len(folders)} class folders")
    return Data(
        root.name or str(root.resolve().name),
        ImageFiles(
            tuple(path for path, _ in found),
            tuple(str(path.relative_to(root)) for path, _ in found),
            Listed(tuple(index for _, index in found)),
            request.preprocess,
        ),
        request.preprocess.text,
        by_index(folders, indices),
        bool(request.index),
        request.preprocess.size,
        notes=tuple(_notes(root, passed, empty)),
    )


def _below(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns (images, other files) below a folder, in order."""
    known = endings()
    images: list[Path] = []
    others: list[Path] = []
    for path in _files(folder):
        (images if path.suffix.lower() in known else others).append(path)
    return images, others


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in sorted(os.walk(folder, followlinks=True)):
        yield from (Path(place) / name for name in sorted(names) if not name.startswith("."))


def _notes(root: Path, passed: Sequence[Path], empty: Sequence[str]) -> Iterator[Note]:
    if passed:
        shown = ", ".join(str(path.relative_to(root)) for path in passed[:3]) + (", …" if len(passed) > 3 else "")
        text = f"{len(passed)} files are no images of a class by their place or ending, and are not counted: {shown}"
        yield Note("passed-over", root.name, text)
    if empty:
        yield Note("empty-class", root.name, f"no image of {', '.join(empty[:5])}: the class keeps its index")
