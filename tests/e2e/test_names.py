"""Names: registered by attach, answered on every host, gone with the container."""

from lab import Host, wait_until


def test_attached_containers_find_each_other_by_name(pair: list[Host]) -> None:
    one, two = pair
    client, server = one.container("client"), two.container("server")
    one.attach(client)
    address = two.attach(server, "--hostname", "db").ip
    wait_until(lambda: client.resolve("db") == [address], what="the name arrives")
    assert client.resolve("DB.tulle.internal") == [address]
    assert client.run("ping", "-c", "1", "-W", "5", "db").returncode == 0


def test_the_name_is_the_namespace_unless_told_otherwise(pair: list[Host]) -> None:
    one, two = pair
    box = one.container("plain")
    address = one.attach(box).ip
    wait_until(lambda: two.knows(box.name) == {address}, what="the other host knows it")


def test_equal_names_share_the_load(pair: list[Host]) -> None:
    one, two = pair
    client = one.container("asker")
    one.attach(client)
    addresses = {
        host.attach(host.container(f"web{number}"), "--hostname", "web").ip
        for number, host in enumerate((one, two, two))
    }
    wait_until(lambda: one.knows("web") == addresses, what="all three are known")
    resolver = client.resolver()
    assert resolver
    firsts = {
        client.run("dig", "+short", f"@{resolver}", "web.tulle.internal").stdout.split()[0] for _ in range(40)
    }
    assert len(firsts) == 3


def test_detach_takes_the_name_away_everywhere(pair: list[Host]) -> None:
    one, two = pair
    box = one.container("short-lived")
    one.attach(box, "--hostname", "fleeting")
    wait_until(lambda: two.knows("fleeting"), what="the name arrives")
    one.tulle("detach", box.reference)
    wait_until(lambda: not two.knows("fleeting"), what="the name goes")


def test_records_by_command(pair: list[Host]) -> None:
    one, two = pair
    one.tulle("dns-add", "192.0.2.80", "-h", "legacy.tulle.internal")
    wait_until(lambda: {str(ip) for ip in two.knows("legacy")} == {"192.0.2.80"}, what="the record arrives")
    one.tulle("dns-remove", "192.0.2.80", "-h", "legacy.tulle.internal")
    wait_until(lambda: not two.knows("legacy"), what="the record goes")


def test_answers_by_the_book(pair: list[Host]) -> None:
    one, _ = pair
    client = one.container("dns-client")
    address = one.attach(client, "--hostname", "book").ip
    resolver = client.resolver()
    wait_until(lambda: client.resolve("book") == [address])

    def dig(*question: str) -> str:
        return client.run("dig", f"@{resolver}", "+tries=1", *question).stdout

    assert "status: NOERROR" in dig("book.tulle.internal", "AAAA")
    assert "ANSWER: 0" in dig("book.tulle.internal", "AAAA")
    assert "status: NXDOMAIN" in dig("nobody.tulle.internal")
    assert "book.tulle.internal." in dig("-x", str(address))
    assert str(address) in dig("+tcp", "book.tulle.internal")
