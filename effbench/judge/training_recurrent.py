"""The inner products of a recurrent layer, apart by what is multiplied: a training step differentiates each operand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from effbench.records import OpCall, Value

Product: TypeAlias = tuple[int, list[list[int]]]
"""MACs, and the value ids behind each operand."""

RECURRENT = frozenset({"aten::lstm", "aten::gru", "aten::rnn_tanh", "aten::rnn_relu"})


def recurrent_products(call: OpCall, values: Sequence[Value]) -> list[Product] | None:
    """Returns the products of every layer and direction; None of a packed sequence, whose first steps differ.

    Per cell the weights are those of the input, of the state and, where there is one, of the projection. The first step
    multiplies the state that was given, the others one that depends on all that came before.
    """
    if "input" not in call.inputs:
        return None
    given, state, params = (_numbers(call, name) for name in ("input", "hx", "params"))
    matrices = [number for number in params if len(values[number].shape) == 2]
    cells = list(_cells(matrices, values[state[0]].shape[0]))
    if sum(map(len, cells)) != len(matrices):
        return None
    shape = values[given[0]].shape
    steps, batch = math.prod(shape[:2]), shape[0 if call.attrs.get("batch_first") else 1]
    directions = 2 if call.attrs.get("bidirectional") else 1
    products: list[Product] = []
    for place, (inner, outer, *projection) in enumerate(cells):
        below = given if place < directions else [*given, *state, *params]
        hidden = [*given, *state, *params]
        products.append((steps * values[inner].numel, [below, [inner]]))
        products.append((batch * values[outer].numel, [state, [outer]]))
        products.append(((steps - batch) * values[outer].numel, [hidden, [outer]]))
        products += [(steps * values[number].numel, [hidden, [number]]) for number in projection]
    return products


def _cells(matrices: Sequence[int], count: int) -> Iterator[Sequence[int]]:
    each = len(matrices) // count
    for place in range(count):
        yield matrices[place * each : (place + 1) * each]


def _numbers(call: OpCall, name: str) -> list[int]:
    ids = call.inputs[name]
    return [ids] if isinstance(ids, int) else list(ids)
