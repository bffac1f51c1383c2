"""Every convention that reproduces a tool gives its own integers, also where it is wrong: the tool is run beside it.

What only one tool does is in that tool's own file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from function_cases import ON_EVERY_FUNCTION, Run
from generated import Net, on_generated_nets
from module_cases import ON_EVERY_MODULE, Maker
from twins import QUIET, TOOLS, assert_twins
from zoo import ZOO, on_cpu

pytestmark = QUIET

BY_LAYOUT = "ptflops-aten"
"""Its figure depends on how a kernel lays its results out; its own file has its generated networks."""


@pytest.mark.parametrize("tool", TOOLS)
@ON_EVERY_FUNCTION
def test_function(tool: str, function: Callable[..., Any], shapes: tuple[Any, ...]) -> None:
    assert_twins(tool, Run(function), *shapes)


@pytest.mark.parametrize("tool", TOOLS)
@ON_EVERY_MODULE
def test_module(tool: str, maker: Maker, given: tuple[Any, ...]) -> None:
    assert_twins(tool, maker(), *given)


@pytest.mark.parametrize("tool", [name for name in TOOLS if name != BY_LAYOUT])
def test_generated_net(tool: str) -> None:
    @on_generated_nets(200)
    def check(net: Net) -> None:
        assert_twins(tool, net.model, net.given)

    check()


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", ZOO)
def test_zoo(name: str, tool: str) -> None:
    model, image = on_cpu(name)
    answer = assert_twins(tool, model, image)
    figures = answer if isinstance(answer, tuple) else (answer,)
    assert all(figure is not None and figure > 10**7 for figure in figures)
    assert len(set(figures)) == len(figures)
