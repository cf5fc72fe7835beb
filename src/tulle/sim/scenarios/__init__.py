"""The named scenarios; importing this package registers them all."""

from tulle.sim.scenario import SCENARIOS
from tulle.sim.scenarios import addresses, chaos, daemons, names, partitions, removal, routers

__all__ = ["SCENARIOS", "addresses", "chaos", "daemons", "names", "partitions", "removal", "routers"]
