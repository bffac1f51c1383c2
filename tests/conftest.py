"""What all tests share: `helpers` can be imported from anywhere below this folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
