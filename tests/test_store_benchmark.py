"""The benchmark of 100,000 records, on 20 of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_benchmark_ranks_what_it_makes(tmp_path: Path) -> None:
    words = ["--records", "20", "--traces", "2", "--warm", "1", "--results", str(tmp_path / "results")]
    subprocess.run(
        [sys.executable, "benchmarks/store.py", *words, "--folder", str(tmp_path / "records")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    found = json.loads((tmp_path / "results" / "store.json").read_text())
    assert (found["records"], found["traces"], found["samples"], found["ranked"]) == (20, 2, 100, 20)
    assert len(found["warm"]) == 1
    assert "| warm: median of 1 |" in (tmp_path / "results" / "store.md").read_text()
