"""Kernel settings of a namespace."""

import pytest

from lab.namespace import Namespace
from netns.support import setting
from tulle.errors import UserError
from tulle.host import sysctl


def test_settings_are_those_of_the_namespace(host: Namespace) -> None:
    host.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
    host.inside(lambda: sysctl.write({"ipv4/ip_forward": "1"}))
    assert setting(host, "ipv4/ip_forward") == "1"
    assert host.inside(lambda: sysctl.read("ipv4/ip_forward")) == "1"


def test_what_the_kernel_lacks_is_left_out(host: Namespace) -> None:
    assert host.inside(lambda: sysctl.read("ipv9/conf/lo/forwarding")) is None
    host.inside(lambda: sysctl.write({"ipv9/conf/lo/forwarding": "1", "ipv4/conf/gone/arp_ignore": "1"}))


def test_a_refused_value_is_said(host: Namespace) -> None:
    with pytest.raises(UserError, match=r"net/ipv4/ip_forward could not be set to nonsense"):
        host.inside(lambda: sysctl.write({"ipv4/ip_forward": "nonsense"}))


def test_the_kernel_forgets_what_it_was_told_of_narrow_paths(host: Namespace) -> None:
    host.inside(lambda: sysctl.trigger("ipv4/route/flush"))
    with pytest.raises(UserError, match="net/ipv4/route/nothing could not be used"):
        host.inside(lambda: sysctl.trigger("ipv4/route/nothing"))
