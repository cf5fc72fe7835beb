"""Measurements, as ratios against a baseline in the same run. ``python -m bench`` runs all of them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
"""The lab of the tests is the benches' too."""
