"""What a data source gives: samples in a fixed order, each with its target, and what they are called."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias

from effbench.errors import InputError
from effbench.measure.data.preprocess import Preprocess
from effbench.metrics import arrays
from effbench.records import Note
from effbench.registry import Registry

NOT_DECODED = "does not decode"
MISSING = "no such file"
NOT_READ = "cannot be read"


class Sample(NamedTuple):
    """One input with its target.

    Attributes:
        input: what the model is given, without the batch's dimension: a tensor, or a tuple or dict of them.
        target: a class index, an array of keypoints (K, 3: x, y and whether it is visible), or an array of any shape.
        name: what messages call it: its file, or its place.
        key: digest of the input as it is stored, before preprocessing; empty where that is not known.
        stored: the target as it is stored, where preprocessing changed it.
        padded: whether its image was smaller than the crop, and black was added.
    """

    input: Any
    target: Any
    name: str
    key: bytes = b""
    stored: Any = None
    padded: bool = False


class Unreadable(NamedTuple):
    """A sample that is left out.

    Attributes:
        reason: what it is counted under; `why` says what exactly was wrong.
        target: where it is known all the same; `key` is a digest of what could not be read.
    """

    name: str
    reason: str
    why: str
    target: Any = None
    key: bytes = b""


class Broken(NamedTuple):
    """A sample that the data set's own code could not give: nothing can be said of the whole."""

    name: str
    why: str


Item: TypeAlias = Sample | Unreadable | Broken


class Samples(Protocol):
    """Samples by place, as a map-style data set of torch has them; may be sent to worker processes."""

    def __len__(self) -> int:
        """Returns how many samples there are, those that cannot be read included."""
        ...

    def __getitem__(self, index: int, /) -> Item:
        """Returns the sample of that place, counted from 0."""
        ...


@dataclass(frozen=True, slots=True)
class Data:
    """A data set that was found.

    Attributes:
        name: what tables call it.
        samples: in their order.
        preprocessing: what is done to an input before the model sees it.
        classes: names by index; empty where it has none.
        stated: whether the user said which class has which index; else the order of names does.
        size: (height, width) of the model's input that keypoints are measured in; None where it is not known.
        pixels: whether targets are keypoints in pixels of the model's input.
        notes: what a reader of the numbers must know.
    """

    name: str
    samples: Samples
    preprocessing: str
    classes: tuple[str, ...] = ()
    stated: bool = False
    size: tuple[int, int] | None = None
    pixels: bool = False
    notes: tuple[Note, ...] = ()

    @property
    def n(self) -> int:
        """Returns how many samples there are, those that cannot be read included."""
        return len(self.samples)

    def __iter__(self) -> Iterator[Item]:
        """Returns the samples one after the other, each read when it is asked for."""
        return (self.samples[place] for place in range(self.n))

    def digest(self) -> str:
        """Returns the digest of all samples, after reading them; see `Digest`."""
        found = Digest()
        for item in self:
            found.add(item)
        return found.text()


class Digest:
    """Says whether two data sets have the same samples in the same order, whatever is done to them before a model.

    Taken in are each sample's target, and its stored input where the source knows it. Where no source does, it is the
    digest that files of the same targets have.
    """

    def __init__(self) -> None:
        self._targets = arrays.Digest()
        self._inputs = hashlib.sha256()
        self._known = False

    def add(self, item: Item) -> None:
        """Takes in the next sample, one that cannot be read too."""
        if isinstance(item, Broken):
            return
        stored = item.stored if isinstance(item, Sample) and item.stored is not None else item.target
        if stored is not None:
            self._targets.add(arrays.as_array([stored], "targets"))
        self._inputs.update(len(item.key).to_bytes(1, "little") + item.key)
        self._known |= bool(item.key)

    def text(self) -> str:
        """Returns 16 hexadecimal digits."""
        targets = self._targets.text()
        if not self._known:
            return targets
        return hashlib.sha256(f"{targets} {self._inputs.hexdigest()}".encode()).hexdigest()[:16]


def content_key(content: bytes) -> bytes:
    """Returns the digest of a stored input."""
    return hashlib.sha256(content).digest()


# Which source a text names


@dataclass(frozen=True, slots=True)
class Request:
    """What a data source is asked for.

    Attributes:
        source: the whole text. target: the part that the source reads (without its prefix).
        preprocess: what is done to an image.
        root: the folder that named data sets lie in. split: which part of one; None takes the source's own.
        download: whether it may be fetched where it is missing.
        args: what else the source takes: arguments of a factory, names of columns or arrays.
        index: class index of each folder's or class's name, where the order of names is not the model's.
    """

    source: str
    target: str
    preprocess: Preprocess
    root: Path | None = None
    split: str | None = None
    download: bool = False
    args: Mapping[str, Any] = field(default_factory=dict)
    index: Mapping[str, int] = field(default_factory=dict)


DataSource = Callable[[Request], Data]
data_sources: Registry[DataSource] = Registry("data source")

_ENDINGS: Mapping[str, str] = MappingProxyType({".csv": "csv", ".npz": "npz"})


def kind_of_source(source: str) -> tuple[str, str]:
    """Returns (the data source's name, what it reads) of a text.

    Raises:
        InputError: it names none.
    """
    prefix, colon, rest = source.partition(":")
    if colon and data_sources.find(prefix) is not None:
        return prefix, rest
    if source.endswith(".py") or ".py:" in source:
        return "file", source
    path = Path(source)
    if path.is_dir():
        return "folder", source
    ending = _ENDINGS.get(path.suffix.lower())
    if ending is not None:
        if not path.is_file():
            raise InputError(f"{source}: no such file")
        return ending, source
    found = "is no folder of images" if path.exists() else "no such folder of images"
    raise InputError(f"--data {source}: {found}; a data set is also torchvision:NAME, a .csv, a .npz or file.py:Name")


def refuse_arguments(request: Request, *known: str) -> None:
    """Refuses arguments that a source does not take.

    Raises:
        InputError: there are any.
    """
    for name in request.args:
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise InputError(f"{request.source}: --data-arg {name} has nowhere to go: {takes}")


def refuse_named_only(request: Request) -> None:
    """Refuses what only named data sets have.

    Raises:
        InputError: a root, a split or a download is asked for.
    """
    given = {"--root": request.root, "--split": request.split, "--download": request.download or None}
    for option, value in given.items():
        if value is not None:
            raise InputError(f"{request.source}: {option} is for torchvision:NAME: leave it out")
