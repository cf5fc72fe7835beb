"""What programs do with docker-py, in a process of its own: that library leaves closing sockets to chance.

docker_py_client.py URL IMAGE
"""

import sys

import docker.errors
import pytest

import docker


def main(url: str, image: str) -> None:
    api = docker.DockerClient(base_url=url, timeout=60)
    assert api.ping()
    said = api.containers.run(image, "ip -4 -o address show dev tulle0", remove=True)
    assert b"inet 10." in said
    _errors(api, image)
    made = api.containers.run(image, "cat", name="pythonic", detach=True, stdin_open=True)
    assert made.exec_run("hostname").output == b"pythonic\n"
    code, output = made.exec_run(["sh", "-c", "echo out; echo err >&2; exit 2"], demux=True)
    assert (code, output) == (2, (b"out\n", b"err\n"))
    talk = made.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    talk._sock.sendall(b"typed\n")
    assert next(iter(made.logs(stream=True, follow=True))) == b"typed\n"
    pieces, about = made.get_archive("/etc/hosts")
    assert about["name"] == "hosts"
    assert b"pythonic.tulle.internal" in b"".join(pieces)
    assert next(iter(made.stats(stream=True, decode=True)))["id"] == made.id
    made.kill("KILL")
    assert made.wait()["StatusCode"] == 137
    made.remove()


def _errors(api: docker.DockerClient, image: str) -> None:
    for wrong, kind, words in (
        (lambda: api.containers.create("nosuch:1"), docker.errors.ImageNotFound, "nosuch"),
        (lambda: api.containers.run(image, ["sh", "-c", "exit 9"]), docker.errors.ContainerError, "status 9"),
        (lambda: api.containers.run(image, "nosuch"), docker.errors.APIError, "executable file not found"),
    ):
        with pytest.raises(kind, match=words):
            wrong()
    for made in api.containers.list(all=True, filters={"ancestor": image, "status": "exited"}):
        made.remove()


main(*sys.argv[1:])
