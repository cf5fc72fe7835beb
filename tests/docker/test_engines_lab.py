"""The engines of the lab themselves: they run containers, keep apart, and leave nothing behind."""

import subprocess
from pathlib import Path

from lab import Lab, wait_until
from lab.engines import Engine, engines


def test_an_engine_runs_containers(engine: Engine) -> None:
    assert engine.docker("run", "--rm", engine.image, "echo", "hello").stdout == "hello\n"
    ident = engine.run("sleeper")
    assert engine.inspect("sleeper")["Id"] == ident
    assert engine.inside("sleeper", "cat", "/proc/1/comm") == "sleep"


def test_two_engines_know_nothing_of_each_other_and_leave_nothing() -> None:
    with Lab() as lab:
        one, two = engines(lab, 2)
        ident = one.run("only")
        known = [made.docker("info", "--format", "{{.ID}} {{.Name}}").stdout.split() for made in (one, two)]
        assert known[0][0] != known[1][0]
        assert [name for _, name in known] == ["h1", "h2"]
        assert two.docker("ps", "--quiet").stdout == ""
        two.docker("pause", two.run("frozen"))
        pid = one.pid("only")
        one.kill()
        assert Path(f"/proc/{pid}").exists(), "a container outlives a crash of its engine"
        names = [one.host.name, two.host.name]
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="nobody waits for the dead container any more")
    assert not [path for name in names for path in Path("/sys/fs/cgroup").glob(f"**/{name}")]
    assert ident not in subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True).stdout


def test_the_daemon_of_a_host_lives_among_the_mounts_of_its_engine(engine: Engine) -> None:
    engine.host.launch()
    daemon, keeper = (Path(f"/proc/{pid}/ns/mnt").readlink() for pid in (engine.host.process.pid, "self"))
    assert daemon != keeper
    assert (
        f"DOCKER_HOST=unix://{engine.socket}" in Path(f"/proc/{engine.host.process.pid}/environ").read_text()
    )
    assert engine.host.run("test", "-S", engine.socket).returncode == 0
    assert engine.host.report()["Ready"]
