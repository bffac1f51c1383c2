"""The one way to extend effbench: a named table that decorated functions enter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from effbench.errors import InputError, UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """A table of named things of one kind; a second entry under a name is an error."""

    def __init__(self, kind: str) -> None:
        """`kind` is the singular noun that error messages use, such as "convention"."""
        self.kind = kind
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> T:
        """Returns the entry after entering it under `name`.

        Raises:
            InputError: the name is taken.
        """
        if name in self._entries:
            raise InputError(f"{self.kind} {name!r} is registered already: choose another name")
        self._entries[name] = entry
        return entry

    def register(self, *names: str) -> Callable[[T], T]:
        """Returns a decorator that enters what it decorates under each of the names."""

        def enter(entry: T) -> T:
            for name in names:
                self.add(name, entry)
            return entry

        return enter

    def get(self, name: str) -> T:
        """Returns the entry of that name.

        Raises:
            UnknownName: nothing has that name; the message suggests near ones.
        """
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownName(self.kind, name, self._entries) from None

    def find(self, name: str) -> T | None:
        """Returns the entry of that name, or None."""
        return self._entries.get(name)

    def names(self) -> tuple[str, ...]:
        """Returns all names in alphabetical order."""
        return tuple(sorted(self._entries))

    def items(self) -> Iterator[tuple[str, T]]:
        """Returns (name, entry) pairs in alphabetical order of names."""
        return iter(sorted(self._entries.items(), key=lambda item: item[0]))

    def without(self, *names: str) -> Registry[T]:
        """Returns a copy that lacks the named entries; this table stays as it is."""
        copy: Registry[T] = Registry(self.kind)
        copy._entries = {name: entry for name, entry in self._entries.items() if name not in names}
        return copy
