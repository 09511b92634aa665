"""The server of the pages: this page on this machine is answered, and nobody else."""

import contextlib
import http.client
import socket

import pytest

from posesynth.errors import InputError
from posesynth.preview.server import Guard, serve


def test_only_this_page_on_this_machine_is_answered_without_a_token():
    from websockets.datastructures import Headers

    guard = Guard("127.0.0.1", 8080)
    here = [("Host", "127.0.0.1:8080")]
    good = [here, [("Host", "localhost:8080")], [*here, ("Origin", "http://127.0.0.1:8080")]]
    bad = [
        [],
        [("Host", "evil.example:8080")],
        [("Host", "127.0.0.1:80")],
        [("Host", "127.0.0.1")],
        [*here, *here],
        [*here, ("Origin", "http://evil.example")],
        [*here, ("Origin", "null")],
        [*here, ("Origin", "https://127.0.0.1:8080")],
        [*here, ("Origin", "http://127.0.0.1:8081")],
        [("Host", "evil.example:8080"), ("Origin", "http://evil.example:8080")],
    ]
    for headers in good:
        assert guard.refusal(Headers(headers), "/") is None
    for headers in bad:
        assert guard.refusal(Headers(headers), "/") is not None, headers
        assert guard.refusal(Headers(headers), "/?token=") is not None, headers


OWN = [
    ("127.0.0.1", 8080, "LocalHost:8080"),
    ("127.0.0.2", 8080, "127.0.0.2:8080"),
    ("::1", 8080, "[::1]:8080"),
    ("127.0.0.1", 80, "127.0.0.1"),
    ("127.0.0.1", 80, "localhost:80"),
]


@pytest.mark.parametrize(("host", "port", "named"), OWN)
def test_the_page_is_answered_under_the_address_that_was_printed(host, port, named):
    from websockets.datastructures import Headers

    guard = Guard(host, port)
    assert guard.refusal(Headers([("Host", named)]), "/") is None
    assert guard.refusal(Headers([("Host", named), ("Origin", f"http://{named}")]), "/") is None
    for evil in (f"{named}.", f"{named}@evil.example", f"user@{named}", f"{named}0", f".{named}"):
        assert guard.refusal(Headers([("Host", evil)]), "/") is not None, evil


def test_elsewhere_a_token_is_asked_for():
    from websockets.datastructures import Headers

    guard = Guard("0.0.0.0", 8080)
    host = ("Host", "lab.example:8080")
    assert guard.url == f"http://0.0.0.0:8080/?token={guard.token}"
    assert len(guard.token) >= 20
    assert Guard("0.0.0.0", 8080).token != guard.token

    def answer(path, *headers):
        refused = guard.refusal(Headers([host, *headers]), path)
        return refused if refused is None else (int(refused[0]), refused[2])

    assert answer("/")[0] == 403
    assert answer("/?token=")[0] == 403
    assert answer(f"/?token={guard.token[:-1]}")[0] == 403
    assert answer("/", ("Cookie", "posesynth-8080="))[0] == 403
    assert answer("//[?token=\udcff")[0] == 403
    status, headers = answer(f"/?token={guard.token}")
    assert (status, headers["Location"]) == (303, "/")
    cookie = headers["Set-Cookie"].partition(";")[0]
    assert "HttpOnly; SameSite=Strict" in headers["Set-Cookie"]
    assert answer("/", ("Cookie", f"other=1; {cookie}")) is None
    assert answer("/", ("Cookie", cookie), ("Origin", "http://lab.example:8080")) is None
    assert answer("/", ("Cookie", cookie), ("Origin", "http://evil.example"))[0] == 403


@pytest.mark.parametrize(("host", "token"), [("localhost", False), ("127.0.0.1", False), ("127.0.0.2", False),
                                             ("::1", False), ("0.0.0.0", True), ("::", True), ("10.0.0.1", True),
                                             ("lab.example", True)])  # fmt: skip
def test_what_others_can_reach_has_a_token(host, token):
    assert bool(Guard(host, 8080).token) == token


def test_a_port_in_use_is_said_and_not_changed():
    pytest.importorskip("viser")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port: {port} is in use"), serve("page", port=port):
            pass


@pytest.mark.parametrize(("host", "said"), [("203.0.113.9", "expected an address of this machine"),
                                            ("no such host", "is not known")])  # fmt: skip
def test_a_host_that_is_not_this_machine_is_said(host, said):
    pytest.importorskip("viser")
    with pytest.raises(InputError, match=said), serve("page", host=host, port=0):
        pass


def test_the_server_listens_here_alone_answers_this_page_and_ends():
    pytest.importorskip("viser")
    with serve("page", port=0) as (server, url):
        port = int(url.rstrip("/").rpartition(":")[2])
        assert server.get_port() == port

        def status(**headers):
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as asked:
                asked.request("GET", "/", headers=headers)
                return asked.getresponse().status

        shake = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                 "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
        own, foreign = f"http://127.0.0.1:{port}", "http://evil.example"
        assert status() == status(Origin=own) == 200
        assert status(Host="evil.example") == 421
        assert status(Origin=foreign) == 403
        assert status(**shake, Origin=own) == 101
        assert status(**shake, Origin=foreign) == 403
        assert server.request_share_url() is None  # no tunnel into the internet, whoever asks
        with socket.socket() as other, pytest.raises(OSError, match="refused"):
            other.connect(("127.0.0.2", port))
    with socket.socket() as gone, pytest.raises(OSError, match="refused"):
        gone.connect(("127.0.0.1", port))


@pytest.mark.parametrize("option", ["--map", "--asf"])
def test_how_to_read_motion_goes_with_motion(option):
    from click.testing import CliRunner

    from posesynth.cli import posesynth

    told = CliRunner().invoke(posesynth, ["preview", "dog", option, "some.file", "--port", "0"])
    assert option in str(told.exception)
    assert "expected --motion" in str(told.exception)
