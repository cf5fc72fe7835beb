"""tulle: one network for containers on many hosts, with no server and no store."""

__version__ = "0.1.0"
