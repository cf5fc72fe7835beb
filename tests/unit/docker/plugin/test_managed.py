"""The managed plugin: who the peers are, by the swarm, and what its settings mean."""

import msgspec

from tulle.docker.plugin.entry import arguments, settings
from tulle.docker.plugin.managed import Info


def peers(swarm: dict[str, object]) -> list[str]:
    return msgspec.json.decode(msgspec.json.encode({"Swarm": swarm}), type=Info).swarm.peers()


def test_the_managers_of_the_swarm_are_peers() -> None:
    managers = [{"NodeID": "a", "Addr": "10.0.0.1:2377"}, {"NodeID": "b", "Addr": "10.0.0.2:2377"}]
    assert peers({"NodeAddr": "10.0.0.3", "RemoteManagers": managers}) == ["10.0.0.1", "10.0.0.2"]
    assert peers({"NodeAddr": "10.0.0.2", "RemoteManagers": managers}) == ["10.0.0.1"]


def test_without_a_swarm_there_are_none() -> None:
    assert peers({"LocalNodeState": "inactive", "NodeAddr": "", "RemoteManagers": None}) == []


def test_a_setting_that_nobody_set_is_left_at_its_default() -> None:
    environment = {"TULLE_PASSWORD": "", "TULLE_MTU": "1300", "HOME": ""}
    assert settings(environment) == {"TULLE_MTU": "1300", "HOME": ""}


def test_multicast_may_be_kept_out() -> None:
    assert "--plugin-v2" in arguments({})
    assert "--no-multicast-route" not in arguments({})
    assert "--no-multicast-route" not in arguments({"TULLE_MULTICAST": "true"})
    assert "--no-multicast-route" in arguments({"TULLE_MULTICAST": "false"})
