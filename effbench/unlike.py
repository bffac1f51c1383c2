"""What the models of a comparison do not share beside being others: inputs, machines, interpreters and packages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from effbench.errors import InputError
from effbench.records import Note
from effbench.records.environment import Environment, Named, differences

if TYPE_CHECKING:
    from effbench.comparisons import Contender
    from effbench.profiles import Profile


def inputs_apart(models: Sequence[Contender]) -> tuple[Note, ...]:
    """Returns a Note for each model whose inputs are not of the shapes and dtypes of the first one's."""
    base, *others = models
    if base.profile is None:
        return ()
    ours = _inputs(base.profile)
    return tuple(
        Note(
            "inputs-differ",
            one.name,
            f"its input is {_inputs(one.profile)}, and that of {base.name} {ours}: costs and times are of their own",
        )
        for one in others
        if one.profile is not None and _inputs(one.profile) != ours
    )


def refuse_unlike_inputs(models: Sequence[Contender]) -> None:
    """Raises InputError where costs and times would be of different work."""
    for note in inputs_apart(models):
        raise InputError(
            f"{note.subject}: {note.text}: give both the same with --input, or compare them all the same with --mixed"
        )


def environments_apart(models: Sequence[Contender], device: str = "cpu") -> Iterator[Note]:
    """Gives what differs between the machine, the interpreter and the packages of each model and of the first."""
    base = models[0]
    for one in models[1:]:
        if base.environment is None or one.environment is None:
            continue
        unlike = differences(_facts(base.environment, device), _facts(one.environment, device))
        if unlike:
            yield Note("environment-differs", one.name, f"against {base.name}: {'; '.join(unlike)}")
        packages = _packages_apart(dict(base.environment.packages), dict(one.environment.packages))
        if packages:
            yield Note("packages-differ", one.name, f"against {base.name}: {'; '.join(packages)}")


def _facts(environment: Environment, device: str) -> Named:
    """Returns what times depend on, Python with its whole version: between interpreters a patch release tells."""
    full = {"Python": environment.system.python or "unknown"}
    return tuple({**dict(environment.fingerprint(device)), **full}.items())


def _packages_apart(ours: dict[str, str], theirs: dict[str, str]) -> list[str]:
    names = sorted({*ours, *theirs})
    return [
        f"{name}: {ours.get(name, 'not imported')} ≠ {theirs.get(name, 'not imported')}"
        for name in names
        if ours.get(name) != theirs.get(name)
    ]


def _inputs(profile: Profile) -> str:
    return ", ".join(f"{'×'.join(map(str, item.shape))} {item.dtype}" for item in profile.trace.inputs) or "none"
