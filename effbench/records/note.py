"""What a reader of a number must know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """Something a reader of a number must know: `subject` is the module, op or option it is about."""

    code: str
    subject: str
    text: str
