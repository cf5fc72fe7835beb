"""What must not work, and what is said about it."""

from lab import Host, Lab, wait_until


def connection_lines(host: Host) -> str:
    return host.view("connections")


def test_a_wrong_password_is_refused_with_a_reason(lab: Lab) -> None:
    one, two = lab.make_hosts(2)
    one.launch("--password", "correct")
    two.launch("--password", "wrong", one)
    wait_until(
        lambda: "decrypt" in connection_lines(two) or "password" in connection_lines(two), what="a reason"
    )
    assert "established" not in connection_lines(two)
    assert len(one.report()["Router"]["Peers"]) == 1


def test_a_missing_password_is_refused_with_a_reason(lab: Lab) -> None:
    one, two = lab.make_hosts(2)
    one.launch("--password", "correct")
    two.launch(one)
    wait_until(lambda: "password" in connection_lines(two), what="a reason")
    assert len(one.report()["Router"]["Peers"]) == 1


def test_a_password_stays_out_of_sight(lab: Lab) -> None:
    (one,) = lab.make_hosts(1)
    one.launch("--password", "swordfish-1")
    assert "swordfish-1" not in one.tulle("report") + one.tulle("status") + one.log.read_text()


def test_equal_passwords_meet_and_trust_carries_traffic(lab: Lab) -> None:
    one, two = lab.network(2, "--password", "correct", "--trusted-subnets", "10.99.0.0/24")
    here, there = one.container("a"), two.container("b")
    one.attach(here)
    theirs = two.attach(there).ip
    wait_until(lambda: here.pings(theirs), what="a ping across")


def test_two_daemons_with_one_name(lab: Lab) -> None:
    one, two = lab.make_hosts(2)
    one.launch("--name", "::7")
    two.launch("--name", "::7", one)
    wait_until(lambda: "name" in connection_lines(two), what="the collision is named")
    assert "established" not in connection_lines(two)
    assert one.tulle("status")


def test_reasons_are_seen_at_both_ends(lab: Lab) -> None:
    """A third host under the name of the second, then beyond the limit, and one that is its own target."""
    one, two = lab.network(2, "--no-discovery", "--conn-limit", "1")
    three = lab.host()
    name = two.report()["Router"]["Name"]
    three.launch("--name", name, one, three)
    for host in (one, three):
        wait_until(lambda host=host: "have one name" in host.tulle("status") + connection_lines(host))
    assert "--name" in connection_lines(three)
    assert "established" in next(line for line in connection_lines(one).splitlines() if "h2" in line)
    wait_until(lambda: "this host itself, retry: never" in connection_lines(three), what="knows itself")
    three.stop()
    three.launch("--name", "::9", one)
    wait_until(lambda: "--conn-limit 1" in connection_lines(three), what="the limit is named")
    three.stop()
    three.launch("--name", "::9", "--ipalloc-range", "10.40.0.0/16", one)
    for host in (one, three):
        wait_until(
            lambda host=host: "10.40.0.0/16" in host.view("ipam") and "10.32.0.0/12" in host.view("ipam")
        )
        assert "--ipalloc-range" in host.tulle("status")
    three.stop()
    two.kill()
    two.relaunch()
    lab.wait_connected([one, two])


def test_a_port_in_use(lab: Lab) -> None:
    one = lab.host()
    listener = one.start(
        "python3", "-c", "import socket,time; s=socket.create_server(('',6783)); time.sleep(1000)"
    )
    wait_until(lambda: "6783" in one.run("ss", "-lnt").stdout)
    failed = one.refuses("launch")
    assert "6783" in failed.stderr
    listener.kill()
    listener.wait()
    one.launch()


def test_a_range_that_the_host_routes_elsewhere(lab: Lab) -> None:
    one = lab.host()
    one.ip("route add 10.40.0.0/16 via 10.99.0.200")
    failed = one.refuses("launch")
    assert "10.40.0.0/16" in failed.stderr
    one.launch("--ipalloc-range", "10.200.0.0/16")


def test_commands_without_a_daemon_say_so(lab: Lab) -> None:
    one = lab.host()
    for command in (["status"], ["attach", "netns:x"], ["ps"], ["stop"]):
        failed = one.refuses(*command)
        assert "launch" in failed.stderr, failed


def test_containers_cannot_reach_the_mesh_port(lab: Lab) -> None:
    (one,) = lab.network(1)
    box = one.container("curious")
    one.attach(box)
    exposed = one.tulle("expose").split()[0].partition("/")[0]
    assert box.pings(exposed)
    done = box.run("timeout", "2", "bash", "-c", f"</dev/tcp/{exposed}/6783", check=False)
    assert done.returncode != 0
