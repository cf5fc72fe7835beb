"""The state directory fails: nothing is handed out twice, nothing that runs stops, and the text says why."""

from pathlib import Path

from lab import Host, Lab, run, wait_until


def database(host: Host) -> Path:
    (found,) = [path for path in host.state.iterdir() if path.suffix == ".db"]
    return found


def fill(host: Host) -> Path:
    """Use up the last byte of the state directory's file system."""
    filler = host.state / "filler"
    run(["dd", "if=/dev/zero", f"of={filler}", "bs=4k"], check=False)
    return filler


def test_a_full_disk(lab: Lab) -> None:
    one = lab.host()
    lab.small_state(one, 2048)
    one.launch()
    kept = one.container("kept")
    address = one.attach(kept).ip
    filler = fill(one)
    late = one.container("late")
    failed = one.refuses("attach", late.reference)
    assert "written" in failed.stderr or "full" in failed.stderr, failed
    assert late.addresses() == []
    assert one.knows(kept.name) == {address}
    filler.unlink()
    assert wait_until(lambda: one.attach(late), what="it works again").ip != address


def test_a_read_only_disk(lab: Lab) -> None:
    one = lab.host()
    lab.small_state(one, 2048)
    one.launch()
    one.attach(one.container("kept"))
    one.kill()
    run(["mount", "-o", "remount,ro", one.state])
    failed = one.refuses("launch")
    assert str(one.state) in failed.stderr
    run(["mount", "-o", "remount,rw", one.state])
    one.relaunch()


def test_a_corrupt_database_is_moved_aside_and_said(lab: Lab) -> None:
    one = lab.host()
    one.launch()
    box = one.container("kept")
    address = one.attach(box).ip
    name = one.report()["Router"]["Name"]
    one.kill()
    for path in one.state.iterdir():
        if path.name.endswith(("-wal", "-shm")):
            path.unlink()
    database(one).write_bytes(b"this is no database\n" * 1000)
    one.relaunch()
    assert one.report()["Router"]["Name"] == name
    assert str(address) in one.tulle("dns-lookup", box.name)
    assert [path for path in one.state.iterdir() if ".corrupt-" in path.name]
    assert "corrupt" in one.log.read_text()
    wait_until(lambda: str(address) in one.view("ps"), what="the running container was found")
    assert one.attach(one.container("new")).ip != address


def test_two_daemons_cannot_share_a_state_directory(lab: Lab) -> None:
    one, two = lab.make_hosts(2)
    one.launch()
    two.state = one.state
    failed = two.refuses("launch")
    assert str(one.state) in failed.stderr
