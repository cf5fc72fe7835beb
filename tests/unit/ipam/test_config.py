from ipaddress import IPv4Network

import pytest

from ipam.builders import A, address
from tulle.errors import UserError
from tulle.ipam.config import Consensus, IpamConfig, Observer, Seed, host_range, network_range


@pytest.mark.parametrize(
    ("universe", "subnet", "bootstrap", "problem"),
    [
        ("10.0.0.0/31", "10.0.0.0/31", Consensus(1), "too small"),
        ("240.0.0.0/4", "240.0.0.0/4", Consensus(1), "end of all"),
        ("10.0.0.0/12", "10.64.0.0/16", Consensus(1), "not inside"),
        ("10.0.0.0/12", "10.0.0.0/16", Seed(()), "seed"),
        ("10.0.0.0/12", "10.0.0.0/16", Consensus(-2), "consensus"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_a_reason(
    universe: str, subnet: str, bootstrap: Consensus | Seed, problem: str
) -> None:
    with pytest.raises(UserError, match=problem):
        IpamConfig(A, 1, IPv4Network(universe), IPv4Network(subnet), bootstrap)


@pytest.mark.parametrize("universe", ["10.0.0.0/8", "10.32.0.0/12", "192.168.7.0/29", "10.0.0.0/30"])
def test_ranges_of_all_sizes_are_fine(universe: str) -> None:
    network = IPv4Network(universe)
    assert (
        network_range(network).size == IpamConfig(A, 1, network, network, Observer()).universe.num_addresses
    )


def test_hosts_get_all_but_the_first_and_last_address() -> None:
    assert host_range(IPv4Network("10.0.0.8/29")) == (address("10.0.0.9"), address("10.0.0.15"))
    assert host_range(IPv4Network("10.0.0.8/29")).size == 6
