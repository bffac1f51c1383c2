"""Graphs that torch wrote into files, TorchScript and exported programs, run op by op without their Python code."""
