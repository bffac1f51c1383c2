"""One model under every convention, the real tools beside, and each difference explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from effbench.documents import Document, head
from effbench.errors import InputError
from effbench.judge.attribution import Attribution, attribute
from effbench.judge.convention import Convention, conventions
from effbench.judge.count import Counts, count
from effbench.profiles import Profile
from effbench.report.table import notes_data

if TYPE_CHECKING:
    from effbench.measure.peer import Peer
    from effbench.measure.source import Loaded


@dataclass(frozen=True, slots=True)
class Heard:
    """What a real tool gave: its total, or why there is none."""

    version: str
    total: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Audited:
    """One convention's count; `heard` is None where it reproduces no tool."""

    convention: Convention
    counts: Counts
    attribution: Attribution | None
    heard: Heard | None


@dataclass(frozen=True, slots=True)
class Audit:
    """A profile under every convention, `macs` first."""

    profile: Profile
    rows: tuple[Audited, ...]


def audit(loaded: Loaded, made: Profile, say: Callable[[str], None] = lambda text: None) -> Audit:
    """Returns every convention's count of a model, with the real tools run beside.

    Args:
        loaded: the model, which the real tools are run on.
        made: its profile, with the facts that all conventions need.
        say: told which tool is being run.
    """
    import effbench.measure.peers  # noqa: F401  fills the table of peers
    from effbench.measure.peer import peers

    base = count(made.trace, conventions.get("macs"))
    names = ["macs", *(name for name in conventions.names() if name != "macs")]
    rows: list[Audited] = []
    for name in names:
        convention = conventions.get(name)
        counts = count(made.trace, convention)
        tool = peers.find(name)
        if tool is not None:
            say(f"running {name} itself")
        heard = None if tool is None else _hear(tool, loaded)
        rows.append(Audited(convention, counts, attribute(base, counts), heard))
    return Audit(made, tuple(rows))


def _hear(tool: Peer, loaded: Loaded) -> Heard:
    from effbench.measure.peer import run_peer, version

    try:
        return Heard(version(tool), run_peer(tool, loaded))
    except InputError as error:
        return Heard(version(tool), None, str(error))


def audit_document(made: Audit) -> Document:
    """Returns the document of `effbench audit`."""
    return {
        **head(made.profile),
        "conventions": [_row(row) for row in made.rows],
        "notes": notes_data(made.profile.notes),
    }


def _row(row: Audited) -> Document:
    found = row.attribution
    return {
        "convention": row.convention.name,
        "about": row.convention.about,
        "unit": row.convention.unit.value,
        "total": row.counts.total,
        "macs": row.counts.macs,
        "flops": row.counts.flops,
        "difference": None if found is None else found.difference,
        "difference_unit": row.convention.unit.value if found is None else found.unit.value,
        "tool": None if row.heard is None else asdict(row.heard),
        "causes": []
        if found is None
        else [{**asdict(cause), "difference": cause.difference} for cause in found.causes],
    }
