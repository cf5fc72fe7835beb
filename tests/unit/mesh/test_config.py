"""What the mesh is told at the start."""

from ipaddress import ip_network

from mesh.builders import config


def test_trusts() -> None:
    some = config(trusted_subnets=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")))
    assert some.trusts("10.255.0.1")
    assert some.trusts("2001:db8::7")
    assert not some.trusts("11.0.0.1")
    assert not some.trusts("2001:db9::7")
    assert not config().trusts("10.0.0.1")


def test_the_password_is_not_shown() -> None:
    assert "hunter2" not in repr(config(password=b"hunter2"))
