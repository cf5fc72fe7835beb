"""Engines and daemons that end in the middle of something: nothing is lost, nothing stays behind."""

import signal
from collections.abc import Generator

import pytest
from keeping import attach, hear_out, held, is_back, nothing_left, on_interface

from lab import Lab, wait_until
from lab.engines import Engine, engines


@pytest.fixture(scope="module")
def engine() -> Generator[Engine]:
    """An engine that leaves its containers alone when it ends, and a daemon on its host."""
    with Lab() as lab:
        made = engines(lab, 1)[0]
        made.host.launch()
        yield made


@pytest.fixture
def live_restore(engine: Engine) -> Generator[None]:
    """Containers survive the engine."""
    engine.stop()
    engine.options = ["--live-restore"]
    engine.start()
    yield
    engine.stop()
    engine.options = []
    engine.start()


def test_a_restarted_engine_starts_what_it_should(engine: Engine, box: str) -> None:
    _, address = attach(engine, box, "--restart", "always")
    once, _ = attach(engine, f"{box}-once")
    pid = engine.pid(box)
    engine.kill()
    engine.start()
    wait_until(lambda: is_back(engine, box, address, pid), what="the one with a policy is back")
    wait_until(lambda: nothing_left(engine, once, f"{box}-once"), what="the other one is forgotten")
    engine.docker("rm", f"{box}-once")


def test_an_engine_that_spares_its_containers_may_come_and_go(
    engine: Engine,
    live_restore: None,
    box: str,
) -> None:
    ident, address = attach(engine, box)
    other, _ = attach(engine, f"{box}-other")
    pid = engine.pid(f"{box}-other")
    engine.kill()
    assert engine.host.tulle("ps", ident[:12]), "what is attached is known without an engine"
    assert "is it running?" in engine.host.refuses("attach", box).stderr
    engine.host.run("kill", "-9", str(pid))
    engine.start()
    wait_until(lambda: nothing_left(engine, other, f"{box}-other"), what="its end is found out afterwards")
    assert f"inet {address}/" in on_interface(engine, box)
    assert held(engine, ident)
    engine.docker("rm", f"{box}-other")


def test_a_daemon_finds_out_what_happened_without_it(engine: Engine, box: str) -> None:
    dead, _ = attach(engine, f"{box}-dead")
    _, address = attach(engine, box)
    pid = engine.pid(box)
    engine.host.kill()
    engine.docker("rm", "--force", f"{box}-dead")
    engine.docker("restart", "--time", "0", box)
    engine.host.relaunch()
    wait_until(lambda: nothing_left(engine, dead, f"{box}-dead"), what="the dead one is forgotten")
    wait_until(lambda: is_back(engine, box, address, pid), what="the restarted one is back")


def test_daemon_and_engine_may_start_in_any_order(engine: Engine, box: str) -> None:
    _, address = attach(engine, box, "--restart", "always")
    pid = engine.pid(box)
    engine.stop()
    engine.host.kill()
    engine.host.relaunch()
    engine.start()
    wait_until(lambda: is_back(engine, box, address, pid), what="it is back")


def test_an_engine_that_dies_during_attach_leaves_nothing(engine: Engine, box: str) -> None:
    ident = engine.run(box)
    engine.freeze()
    attaching = engine.host.start_tulle("attach", box)
    assert attaching.poll() is None
    engine.kill()
    said, _ = attaching.communicate(timeout=60)
    assert attaching.returncode == 1
    assert "Docker does not answer" in said
    engine.start()
    assert not held(engine, ident)


def test_a_daemon_that_dies_during_attach_undoes_it(engine: Engine, box: str) -> None:
    """It waits for an address that nobody can give: the vote is not over."""
    host = engine.host
    host.kill()
    host.forget_state()
    host.launch("--ipalloc-init", "consensus=3")
    ident = engine.run(box)
    attaching = host.start_tulle("attach", box)
    wait_until(lambda: "waiting for an address" in host.view("ipam"), what="it waits")
    host.kill()
    assert attaching.wait(timeout=60) == 1
    attaching.stdout.close()
    host.forget_state()
    host.launch()
    assert engine.host.tulle("attach", box)
    assert held(engine, ident)


def test_a_container_that_dies_while_it_waits_is_not_waited_for(engine: Engine, box: str) -> None:
    host = engine.host
    host.kill()
    host.forget_state()
    host.launch("--ipalloc-init", "consensus=3")
    engine.run(box)
    attaching = host.start_tulle("attach", box)
    wait_until(lambda: "waiting for an address" in host.view("ipam"), what="it waits")
    engine.docker("kill", box)
    said, _ = attaching.communicate(timeout=60)
    assert attaching.returncode == 1
    assert "nothing was attached" in said
    host.process.send_signal(signal.SIGTERM)
    assert host.process.wait(timeout=60) == 0
    host.forget_state()
    host.launch()


def test_after_a_reset_no_container_comes_back(engine: Engine, box: str) -> None:
    attach(engine, box, "--restart", "always")
    engine.host.tulle("reset")
    assert engine.host.end_of_daemon()[0] == 0
    assert on_interface(engine, box) == ""
    engine.host.launch()
    engine.docker("restart", "--time", "0", box)
    hear_out(engine)
    assert on_interface(engine, box) == ""
