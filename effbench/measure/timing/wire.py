"""What the timer and its workers say to each other: one line of JSON each, the same in every Python.

The worker greets with the protocol's number, then answers one line for each it is given:

    {"do": "load", "model": {…}, "plan": {…}, "name": "net.py"}   {"threads": 2, "load_s": 0.41, "samples": 1,
                                                "notes": [["code", "subject", "text"]]}
    {"do": "call", "times": 3}                  {"seconds": [0.0098, …], "wall_s": 0.0301}
    {"do": "peak", "exact": false}              {"bytes": [["resident", 412319744], …]}
    {"do": "environment"}                       {"environment": {…}}
    {"do": "look", "model": {…}, "plan": {…}, "needs": []}   {"name": "Net", "trace": {…}}
    {"do": "op_times", "passes": 3}             {"op_times": {…}}, after "look"
    {"do": "step_times", "passes": 3}           {"step_times": [{"conv": 0.0031, …}, …]}, after "look"
    any                                         {"raised": "one line", "because": "input", "model" or "memory"}

Nothing is pickled, so both sides may differ in Python and in PyTorch.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from effbench.errors import InputError
from effbench.records import TimingPlan

PROTOCOL = 1
"""Raised by whatever makes an old worker and a new timer misunderstand each other."""

Because = Literal["input", "model", "memory"]
Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A model as a spec names it: what `effbench.measure.load.load` takes.

    Attributes:
        plugins: modules that are imported before it is looked for.
    """

    spec: str
    args: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    unsafe: bool = False
    plugins: tuple[str, ...] = ()


class NotUnderstood(Exception):
    """A line that is no message of this protocol."""


def encode(message: Mapping[str, Any]) -> bytes:
    """Returns a message as a line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Returns the message of a line.

    Raises:
        NotUnderstood: it is none.
    """
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise NotUnderstood(line[:80].decode(errors="replace").strip())
    return message


def greeting(python: str) -> Message:
    """Returns what a worker says first."""
    return {"effbench": "worker", "protocol": PROTOCOL, "python": python}


def is_greeting(message: Mapping[str, Any]) -> bool:
    """Returns whether a worker says so, of whatever protocol."""
    return message.get("effbench") == "worker"


def load_message(model: Asked, plan: TimingPlan) -> Message:
    """Returns the request to load a model; constructor arguments travel as Python literals, tuples among them.

    Raises:
        InputError: an argument is no literal.
    """
    for name, value in model.args.items():
        if not _is_literal(value):
            raise InputError(
                f"{model.spec}: argument {name} is a {type(value).__name__}, which cannot be sent to a fresh process: "
                "use numbers, texts, booleans, None, and lists, tuples and dicts of them"
            )
    args = {name: repr(value) for name, value in model.args.items()}
    sent = {"spec": model.spec, "args": args, "inputs": model.inputs, "unsafe": model.unsafe, "plugins": model.plugins}
    return {"do": "load", "model": sent, "plan": asdict(plan)}


def read_load(message: Mapping[str, Any]) -> tuple[Asked, TimingPlan]:
    """Returns what a request to load asks for."""
    sent = message["model"]
    args = {name: ast.literal_eval(text) for name, text in sent["args"].items()}
    asked = Asked(sent["spec"], args, tuple(sent["inputs"]), sent["unsafe"], tuple(sent["plugins"]))
    return asked, TimingPlan(**message["plan"])


def _is_literal(value: object) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError):
        return False
