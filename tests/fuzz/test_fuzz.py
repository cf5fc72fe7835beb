"""A short look with random and mutated bytes; ``make fuzz`` looks longer, guided by coverage."""

from pathlib import Path

import pytest
from fuzz_targets import OWN_SEEDS, TARGETS, seeds
from hypothesis import given, settings
from hypothesis import strategies as st

SEEDS = seeds()
FINDINGS = Path(__file__).parents[1] / "data" / "fuzz"
"""What ``make fuzz`` has found: a folder per target, a file per input; each was a bug once."""


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A real payload with some bytes replaced, removed, repeated or appended."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 3)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                del data[at : at + draw(st.integers(1, 8))]
            case 2:
                data[at:at] = data[at : at + draw(st.integers(1, 40))]
            case _:
                data[at:at] = draw(st.binary(max_size=12))
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_it_ends_quietly(name: str) -> None:
    @settings(max_examples=150)
    @given(mutated() | st.binary(max_size=300))
    def attack(data: bytes) -> None:
        TARGETS[name](data)

    attack()


@pytest.mark.parametrize("name", TARGETS)
def test_real_payloads_of_every_kind(name: str) -> None:
    for seed in SEEDS:
        TARGETS[name](seed)


@pytest.mark.parametrize("name", OWN_SEEDS)
def test_its_own_seeds(name: str) -> None:
    for seed in OWN_SEEDS[name]():
        TARGETS[name](seed)


def test_what_was_found_stays_mended() -> None:
    for path in sorted(FINDINGS.glob("*/*")):
        TARGETS[path.parent.name](path.read_bytes())
