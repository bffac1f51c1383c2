"""The facts effbench stores. Frozen, plain, importable without torch.

A `Trace` says what a model did for one input, a `Timing` what a clock read; a `Record` gathers all that is known of one
model. What is derived from them (counts, scores, ranks) is never stored.
"""

from effbench.records.energy import Energy, EnergyWindow, NoEnergy
from effbench.records.environment import Environment
from effbench.records.evaluation import Direction, Evaluation
from effbench.records.note import Note
from effbench.records.peaks import GemmRun, Peaks, StreamRun
from effbench.records.published import (
    STRICT,
    CostFigure,
    ErrorFigure,
    Published,
    ScoreFigure,
    SpeedFigure,
    SummaryFigure,
)
from effbench.records.record import RECORD_SCHEMA, SCHEMA, Record
from effbench.records.timing import MemoryFormat, Pass, Precision, ProcessRun, StopRule, Timing, TimingPlan
from effbench.records.trace import (
    COMPUTES_IN,
    REPARAMETRISES,
    Argument,
    Attr,
    Buffer,
    Fact,
    FunctionCall,
    Ids,
    Input,
    ModuleCall,
    OpCall,
    Origin,
    Param,
    Shape,
    Trace,
    TreeNode,
    Value,
)

__all__ = [
    "COMPUTES_IN",
    "RECORD_SCHEMA",
    "REPARAMETRISES",
    "SCHEMA",
    "STRICT",
    "Argument",
    "Attr",
    "Buffer",
    "CostFigure",
    "Direction",
    "Energy",
    "EnergyWindow",
    "Environment",
    "ErrorFigure",
    "Evaluation",
    "Fact",
    "FunctionCall",
    "GemmRun",
    "Ids",
    "Input",
    "MemoryFormat",
    "ModuleCall",
    "NoEnergy",
    "Note",
    "OpCall",
    "Origin",
    "Param",
    "Pass",
    "Peaks",
    "Precision",
    "ProcessRun",
    "Published",
    "Record",
    "ScoreFigure",
    "Shape",
    "SpeedFigure",
    "StopRule",
    "StreamRun",
    "SummaryFigure",
    "Timing",
    "TimingPlan",
    "Trace",
    "TreeNode",
    "Value",
]
