"""The ways of counting, one file each; importing this package registers them all."""

from effbench.judge.conventions import full, macs, thop

__all__ = ["full", "macs", "thop"]
