"""The same work in the same partitions: a network that lives in a quorum store, and tulle.

Run as root: ``python -m bench quorum`` (needs Debian's ``etcd-server``). It writes docs/quorum.md and its
plot.
"""

from bench.quorum.run import run

__all__ = ["run"]
