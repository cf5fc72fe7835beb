"""This directory is no package, or it would stand before the Docker client library of the same name."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # the fake daemon is there
