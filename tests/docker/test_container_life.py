"""What containers have here follows their life in Docker, whoever ends or starts them."""

from collections.abc import Callable, Generator

import pytest
from keeping import attach, hear_out, held, is_back, nothing_left, on_interface

from lab import Lab, wait_until
from lab.engines import Engine, engines


@pytest.fixture(scope="module")
def engine() -> Generator[Engine]:
    """An engine and a daemon on its host; whoever ends one of them starts it again."""
    with Lab() as lab:
        made = engines(lab, 1)[0]
        made.host.launch()
        yield made


ENDS: dict[str, Callable[[Engine, str], object]] = {
    "stop": lambda engine, name: engine.docker("stop", "--time", "0", name),
    "kill": lambda engine, name: engine.docker("kill", name),
    "rm": lambda engine, name: engine.docker("rm", "--force", name),
    "exit": lambda engine, name: engine.host.run("kill", "-9", str(engine.pid(name))),
}


def test_whatever_ends_containers_their_addresses_and_names_are_free(engine: Engine, box: str) -> None:
    there = {end: f"{box}-{end}" for end in ENDS}
    for name in there.values():
        attach(engine, name)
    addresses = set(held(engine, ""))
    assert len(addresses) == len(ENDS)
    for end, name in there.items():
        ident = engine.inspect(name)["Id"]
        assert held(engine, ident)
        assert engine.host.knows(name)
        ENDS[end](engine, name)
        wait_until(lambda ident=ident, name=name: nothing_left(engine, ident, name), what=f"{end} frees all")
    engine.docker("rm", *(name for end, name in there.items() if end != "rm"))


def test_a_container_that_is_started_again_has_its_address_and_names_again(engine: Engine, box: str) -> None:
    ident, address = attach(engine, box)
    engine.host.tulle("dns-add", box, "-h", f"{box}-alias")
    pid = engine.pid(box)
    engine.docker("restart", "--time", "0", box)
    wait_until(lambda: is_back(engine, box, address, pid), what="it is back after a restart")
    engine.docker("kill", box)
    wait_until(lambda: nothing_left(engine, ident, box), what="all is free")
    engine.docker("start", box)
    wait_until(lambda: is_back(engine, box, address, pid), what="it is back after a stop")
    wait_until(lambda: engine.host.knows(f"{box}-alias"), what="so is the name that was added")


def test_another_address_will_do_when_somebody_has_taken_the_old_one(engine: Engine, box: str) -> None:
    ident, address = attach(engine, box)
    engine.docker("kill", box)
    wait_until(lambda: nothing_left(engine, ident, box), what="all is free")
    taker = engine.host.container(f"taker-{box}")
    assert str(engine.host.attach(taker).ip) == address
    engine.docker("start", box)
    wait_until(lambda: engine.host.knows(box), what="it has a name again")
    [other] = held(engine, ident)
    assert other.split("/")[0] != address
    assert f"inet {other}" in on_interface(engine, box)
    engine.host.tulle("detach", taker.reference)


def test_a_chosen_address_and_name_come_back(engine: Engine, box: str) -> None:
    engine.run(box)
    engine.host.tulle("attach", "--hostname", f"{box}-db", "10.9.1.5/24", "net:default", box)
    before = on_interface(engine, box)
    engine.docker("restart", "--time", "0", box)
    wait_until(lambda: "10.9.1.5/24" in on_interface(engine, box), what="it is attached again")
    assert before.count("inet") == on_interface(engine, box).count("inet") == 2
    wait_until(lambda: len(engine.host.knows(f"{box}-db")) == 2, what="the name is there")
    assert not engine.host.knows(box)


def test_what_was_detached_stays_away(engine: Engine, box: str) -> None:
    _, address = attach(engine, box)
    engine.host.tulle("attach", "10.9.2.7/24", box)
    assert engine.host.tulle("detach", box) == address
    engine.docker("restart", "--time", "0", box)
    wait_until(lambda: "10.9.2.7/" in on_interface(engine, box), what="the other address is back")
    assert address not in on_interface(engine, box)
    engine.docker("stop", "--time", "0", box)
    engine.host.tulle("detach", "10.9.2.7/24", box)
    engine.docker("start", box)
    hear_out(engine)
    assert on_interface(engine, box) == ""


def test_a_restart_policy_brings_it_back(engine: Engine, box: str) -> None:
    _, address = attach(engine, box, "--restart", "always")
    for _ in range(2):
        pid = engine.pid(box)
        engine.host.run("kill", "-9", str(pid))
        wait_until(lambda pid=pid: is_back(engine, box, address, pid), what="the policy started it again")


def test_a_paused_container_stays_attached(engine: Engine, box: str) -> None:
    ident, address = attach(engine, box)
    engine.docker("pause", box)
    other = f"{box}-other"
    attach(engine, other)
    assert held(engine, ident)
    engine.docker("unpause", box)
    assert engine.inside(other, "ping", "-c", "1", "-W", "5", address)
    engine.docker("rm", "--force", other)


def test_its_name_follows_a_rename(engine: Engine, box: str) -> None:
    ident, address = attach(engine, box)
    engine.host.tulle("dns-add", box, "-h", f"{box}-alias")
    engine.docker("rename", box, f"{box}-new")
    wait_until(lambda: engine.host.knows(f"{box}-new") and not engine.host.knows(box), what="renamed")
    assert engine.host.tulle("dns-lookup", f"{box}-alias") == address
    engine.docker("rename", f"{box}-new", box)
    wait_until(lambda: engine.host.knows(box), what="renamed back")
    assert held(engine, ident)


def test_hundreds_of_events_a_second_lead_to_what_is(engine: Engine, box: str) -> None:
    ident, _ = attach(engine, box)
    for number in range(200):
        assert engine.api("POST", f"/containers/{ident}/rename?name={box}-{number}")[0] == 204
    engine.docker("rename", ident, box)
    wait_until(lambda: engine.host.knows(box), what="the last name counts")
    [row] = engine.host.json("ps", ident)
    assert row["Names"] == [f"{box}.tulle.internal."]
