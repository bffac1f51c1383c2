"""What columns mean: texts such as "top1_err:error:percent", or a YAML file of them, → targets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from effbench.errors import InputError, UnknownName
from effbench.store import read_text

_COUNT = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
_SECONDS = {"s": Decimal(1), "ms": Decimal("1e-3"), "us": Decimal("1e-6")}
_RATE = {"per_s": Decimal(1), "per_ms": Decimal(1000), "per_min": 1 / Decimal(60)}

UNITS: Mapping[str, Mapping[str, Decimal]] = {
    "params": {unit: Decimal(factor) for unit, factor in _COUNT.items()},
    "macs": {unit: Decimal(factor) for unit, factor in _COUNT.items() if unit != "B"},
    "flops": {unit: Decimal(factor) for unit, factor in _COUNT.items() if unit != "B"},
    "latency": _SECONDS,
    "throughput": _RATE,
}
"""What each unit of a measured field is in its base unit: counts, seconds a call, samples a second."""

COSTS = ("macs", "flops")
TIMES = ("latency", "throughput")
WHOLE = ("batch", "threads")
TEXTS = ("device", "precision", "torch")
OF_TIMES = (*WHOLE, *TEXTS)
FIELDS = ("name", *UNITS, *WHOLE, *TEXTS)
"""Every field with a meaning of its own; any other is an error or quality where it has a unit, else a condition."""

SHARES: Mapping[str, Decimal] = {"fraction": Decimal(1), "percent": Decimal(100)}
"""Units of shares, with what all samples together are."""

METRICS = frozenset({"error", "accuracy", "recall", "f1", "top1", "top5", "pixel_error", "psnr"})
"""Names that mean an error or a quality also where its unit was forgotten."""

_FORM = "write COLUMN:FIELD[:UNIT], such as top1_err:error:percent or param_count:params:M"


@dataclass(frozen=True, slots=True)
class Target:
    """What a column holds.

    Attributes:
        field: one of `FIELDS`, or the name of an error, a quality or a condition.
        unit: of its figures; empty for names, texts and conditions, and for plain counts.
        n: samples that a share is of, where that is known.
        convention: how a cost was counted.
    """

    column: str
    field: str
    unit: str = ""
    n: int | None = None
    convention: str = ""

    def __str__(self) -> str:
        """Returns it as `--map` writes it."""
        options = (f"n={self.n}" if self.n else "", f"convention={self.convention}" if self.convention else "")
        return ":".join(part for part in (self.column, self.field, self.unit, *options) if part)

    @property
    def is_metric(self) -> bool:
        """Returns whether it is an error or a quality."""
        return bool(self.unit) and self.field not in UNITS

    @property
    def is_number(self) -> bool:
        """Returns whether every cell has to be a number or missing."""
        return self.is_metric or self.field in UNITS or self.field in WHOLE

    @property
    def factor(self) -> Decimal:
        """Returns what its unit is in base units; 1 for an error, which keeps its unit."""
        return UNITS[self.field][self.unit] if self.field in UNITS else Decimal(1)


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a user said of the tables: targets, constants by field, keys to join on; the latter two only in a file."""

    targets: tuple[Target, ...] = ()
    constants: Mapping[str, str] | None = None
    on: str | None = None


def read_maps(texts: Iterable[str]) -> Mapped:
    """Returns what `--map` says: each text has targets separated by commas, or names a YAML file.

    Raises:
        InputError: a text is none of these, or a file does not fit.
    """
    found = Mapped()
    for text in texts:
        if text.lower().endswith((".yaml", ".yml")):
            more = read_map_file(Path(text))
        else:
            more = Mapped(tuple(parse_target(part.strip()) for part in text.split(",") if part.strip()))
        constants = {**(found.constants or {}), **(more.constants or {})}
        found = Mapped((*found.targets, *more.targets), constants, more.on or found.on)
    return found


def parse_target(text: str) -> Target:
    """Returns the target that a text such as "infer_gmacs:macs:G:convention=fvcore" writes.

    Raises:
        InputError: a part is missing, unknown, or does not go with the field.
    """
    column, colon, rest = text.partition(":")
    if not (column and colon and rest):
        raise InputError(f"--map {text!r}: {_FORM}")
    return target_of(column, rest, f"--map {text!r}")


def target_of(column: str, text: str, where: str) -> Target:
    """Returns the target of a column that "FIELD[:UNIT][:OPTION=VALUE]" describes; `where` begins messages."""
    field, *parts = (part.strip() for part in text.split(":"))
    options = dict(part.partition("=")[::2] for part in parts if "=" in part)
    units = [part for part in parts if "=" not in part]
    if not re.fullmatch(r"[^\W\d][\w.@+-]*", field) or len(units) > 1:
        raise InputError(f"{where}: {_FORM}")
    unknown = sorted(set(options) - {"n", "convention"})
    if unknown:
        raise InputError(f"{where}: there is no option {unknown[0]!r}: n=50000 and convention=fvcore are possible")
    n = None if "n" not in options else samples_of(options["n"], where)
    return _checked(Target(column, field, units[0] if units else "", n, options.get("convention", "")), where)


def samples_of(text: str, where: str) -> int:
    """Returns a number of samples.

    Raises:
        InputError: it is no whole number from 1 up.
    """
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise InputError(f"{where}: {text!r} is no number of samples: give a whole number from 1 up")
    return int(text)


def _checked(target: Target, where: str) -> Target:
    """Returns the target with its default unit and convention, or refuses what does not go together."""
    if target.field not in FIELDS or (target.field == "precision" and target.unit in SHARES):  # the metric of that name
        return _checked_own(target, where)
    if target.n is not None:
        raise InputError(f"{where}: n is the sample count of an error, not of {target.field}")
    if target.convention and target.field not in COSTS:
        raise InputError(f"{where}: a convention is how a cost was counted, not {target.field}")
    if target.field in COSTS:
        target = replace(target, convention=known_convention(target.convention or "macs"))
    if target.field == "throughput" and not target.unit:
        return replace(target, unit="per_s")
    allowed = UNITS.get(target.field, {"": Decimal(1)})
    if target.unit not in allowed:
        told = ", ".join(unit or "none" for unit in allowed)
        raise InputError(f"{where}: {target.unit or 'no unit'!r} is no unit of {target.field}: {told}")
    return target


def known_convention(name: str) -> str:
    """Returns the name after looking it up.

    Raises:
        UnknownName: there is no such convention.
    """
    import effbench.judge.conventions  # noqa: F401  fills the table
    from effbench.judge.convention import conventions

    conventions.get(name)
    return name


def _checked_own(target: Target, where: str) -> Target:
    """Returns a target with a name of the user's, unless it seems to mean a field of effbench."""
    misspelt = [field for field in FIELDS if target.field.lower().startswith((f"{field}_", f"{field}-"))]
    near = misspelt or get_close_matches(target.field.lower(), FIELDS, n=1, cutoff=0.8)
    if near and target.field not in (target.column, "precision"):
        raise InputError(f"{where}: there is no field {target.field!r}: is {near[0]} meant?")
    if target.unit in {*_COUNT, *_SECONDS, *_RATE} - {""}:
        of = " and ".join(name for name in FIELDS if target.unit in UNITS.get(name, {}))
        raise InputError(f"{where}: {target.unit} is a unit of {of}, not of {target.field!r}; errors have percent, …")
    if not target.unit and (target.field in METRICS or target.n is not None):
        raise InputError(f"{where}: say the unit of {target.field}: percent, fraction, pixels, …")
    if target.n is not None and target.unit not in SHARES:
        raise InputError(f"{where}: n gives a share its interval, and {target.field} in {target.unit} is none")
    if target.convention:
        raise InputError(f"{where}: a convention is how a cost was counted, not {target.field}")
    return target


def read_map_file(path: Path) -> Mapped:
    """Returns what a YAML file maps: `columns: {top1_err: error:percent, img_size: [name, img_size]}`, `set:`, `on:`.

    Raises:
        InputError: it is missing, no YAML, or does not fit.
    """
    import yaml

    text = read_text(path, "mapping")
    try:
        # Every scalar stays the text that it is: YAML would read `on` as true and 4090 as a number.
        data = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict) or not isinstance(data.get("columns"), dict):
        raise InputError(f"{path}: a mapping file has the key columns, with FIELD[:UNIT] for each column")
    unknown = sorted(set(data) - {"columns", "set", "on"})
    if unknown:
        raise UnknownName("key of a mapping file", unknown[0], ("columns", "set", "on"))
    targets = tuple(_file_targets(path, data["columns"]))
    return Mapped(targets, _file_constants(path, data.get("set") or {}), _file_keys(path, data.get("on")))


def _file_targets(path: Path, columns: Mapping[Any, Any]) -> Iterable[Target]:
    for column, described in columns.items():
        for text in described if isinstance(described, list) else [described]:
            if not isinstance(text, str):
                raise InputError(f"{path}: column {column}: {text!r} is no text: write FIELD[:UNIT]")
            yield target_of(column, text, f"{path}: column {column}")


def _file_constants(path: Path, data: Any) -> Mapping[str, str]:
    if not isinstance(data, dict) or any(not isinstance(value, str) for value in data.values()):
        raise InputError(f"{path}: set holds constants, such as device: RTX 4090")
    return data


def _file_keys(path: Path, data: Any) -> str | None:
    if data is None or isinstance(data, str):
        return data
    if isinstance(data, list) and all(isinstance(key, str) for key in data):
        return ",".join(data)
    raise InputError(f"{path}: on names columns, such as [arch, img_size]")
