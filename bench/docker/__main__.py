"""``python -m bench.docker [PART...]``: print what was measured."""

import json
import sys

from bench.docker import PARTS, run

if __name__ == "__main__":
    if unknown := set(sys.argv[1:]) - set(PARTS):
        sys.exit(f"there is no part {min(unknown)}; there are {', '.join(PARTS)}")
    result = run(tuple(sys.argv[1:]) or tuple(PARTS))
    lines = result.pop("lines")
    print(json.dumps(result, indent=1))
    for what, figure, goal, met in lines:
        print(f"{figure:>8}  {goal:<14} {'met' if met else 'NOT MET':<8} {what}")
