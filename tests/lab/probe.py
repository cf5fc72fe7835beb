"""Skips for what a machine cannot do; kept apart, so that the lab itself needs no pytest."""

import pytest

from lab import machine

KERNEL_LACKS = "this kernel lacks "
"""How the reason of a skip begins that CI accepts."""


def require_link_kind(kind: str, *options: str) -> None:
    """Skip the calling test when the kernel cannot make such a network device."""
    if not machine.has_link_kind(kind, *options):
        pytest.skip(f"{KERNEL_LACKS}network devices of type {kind}")
