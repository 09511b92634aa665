"""The page's server: viser behind a guard, for viser answers any host and any page that asks.

Every request, the websocket's too, passes `Guard` first.  On loopback a request must name this machine and come from
this page: a page of somebody else's cannot reach in through the user's browser, by another name for the address
neither (DNS rebinding).  Elsewhere it must bring the token that stands in the address printed at the start, once, and
then the cookie that it is changed into.
"""

import contextlib
import functools
import hmac
import io
import ipaddress
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from posesynth.errors import InputError

if TYPE_CHECKING:
    import viser

PORT = 8080
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class MissingViserError(InputError):
    """The page needs viser."""

    def __init__(self) -> None:
        super().__init__("viser: is not installed; the page needs it: pip install 'posesynth[preview]'")


class Guard:
    """Which requests are answered.  `token` is "" on loopback, where none is asked for."""

    def __init__(self, host: str, port: int) -> None:
        self.token = "" if is_loopback(host) else secrets.token_urlsafe(16)
        self.cookie = f"posesynth-{port}"  # browsers keep cookies by host, whatever the port
        self.serving: Any = None  # what websockets' `serve` gave back
        self.server: viser.ViserServer | None = None
        named = f"[{host}]" if ":" in host else host
        ends = (f":{port}", "") if port == 80 else (f":{port}",)  # browsers leave out the 80
        self._names = {f"{name}{end}" for name in (*LOOPBACK_NAMES, named) for end in ends}
        self.url = f"http://{named}:{port}/" + (f"?token={self.token}" if self.token else "")

    def refusal(self, headers: Any, path: str) -> tuple[HTTPStatus, str, dict[str, str]] | None:
        """Status, text and headers of the answer to a request that goes no further; None for one that does."""
        hosts, origins = headers.get_all("Host"), headers.get_all("Origin")
        if len(hosts) != 1 or not (self.token or hosts[0].lower() in self._names):
            return HTTPStatus.MISDIRECTED_REQUEST, "This page is served under another name.\n", {}
        if any(origin != f"http://{hosts[0]}" for origin in origins):
            return HTTPStatus.FORBIDDEN, "Another page asks; only this page may.\n", {}
        if not self.token:
            return None
        given = parse_qs(path.partition("?")[2]).get("token", [""])[0]
        if self._is_token(given):
            cookie = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
            return HTTPStatus.SEE_OTHER, "", {"Location": "/", "Set-Cookie": cookie}
        cookies = [part.strip().partition("=") for line in headers.get_all("Cookie") for part in line.split(";")]
        if any(name == self.cookie and self._is_token(value) for name, _, value in cookies):
            return None
        return HTTPStatus.FORBIDDEN, "Open the address that was printed at the start: it holds a token.\n", {}

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(errors="replace"), self.token.encode())


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


@contextlib.contextmanager
def serve(title: str, host: str = "127.0.0.1", port: int = PORT) -> Iterator[tuple["viser.ViserServer", str]]:
    """A guarded viser server, and the address to open, while the context lasts.

    port: 0 for any free one.  Raises InputError where viser is missing, or the host or the port cannot be had: no
    other is taken in its place.
    """
    try:
        import viser
        import websockets.asyncio.server
    except ModuleNotFoundError:
        raise MissingViserError from None
    port = _free(host, port)
    guard = Guard(host, port)
    plain = websockets.asyncio.server.serve
    websockets.asyncio.server.serve = functools.partial(_guarded, plain, guard)
    try:
        with _quiet():
            server = viser.ViserServer(host=host, port=port, label=title, verbose=False)
    finally:
        websockets.asyncio.server.serve = plain
    try:
        guard.server = server
        if server.get_port() != port:  # taken in the moment since it was free
            raise _taken(port)
        # A viser page can ask for a tunnel that shows it to the whole internet; this one cannot.
        server.request_share_url = _no_tunnel
        server.gui.configure_theme(show_logo=False, show_share_button=False)
        yield server, guard.url
    finally:
        guard.serving.server.get_loop().call_soon_threadsafe(_hang_up, guard.serving.server)
        with _quiet():
            server.stop()


def until_interrupted(url: str, run: Callable[[threading.Event], object] = threading.Event.wait) -> None:
    """Tell the address, then go on with `run`, which returns when its event is set, until Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        print(f"{url}  (Ctrl-C ends it)", flush=True)
        run(threading.Event())


def _guarded(serve_: Any, guard: Guard, talk: Any, *args: Any, process_request: Any, **options: Any) -> Any:
    """websockets' `serve`, with the guard in front of what viser does with a request and with a message."""
    from websockets.datastructures import Headers
    from websockets.http11 import Response

    from posesynth.preview.incoming import LONGEST, may_pass

    def process(connection: Any, request: Any) -> Any:
        refused = guard.refusal(request.headers, request.path)
        if refused is None:
            return process_request(connection, request)
        status, text, headers = refused
        body = text.encode()
        shown = Headers({"Content-Type": "text/plain", "Content-Length": str(len(body)), **headers})
        return Response(status, status.phrase, shown, body)

    async def talk_guarded(connection: Any) -> None:
        hear = connection.recv

        async def hear_guarded() -> Any:
            while True:
                message = await hear()
                if guard.server is not None and may_pass(message, guard.server):
                    return message

        connection.recv = hear_guarded
        await talk(connection)

    guard.serving = serve_(talk_guarded, *args, process_request=process, **options | {"max_size": LONGEST})
    return guard.serving


def _hang_up(server: Any) -> None:
    """Drop connections without a request: browsers open some ahead, and a server waits ten seconds for each."""
    from websockets.protocol import State

    for connection in server.handlers:
        if connection.protocol.state is State.CONNECTING:
            connection.transport.abort()


def _free(host: str, port: int) -> int:
    """The port, or a free one for 0.  InputError where it is taken or the host is not this machine's."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except socket.gaierror:
        raise InputError(f"host: '{host[:60]}' is not known; expected an address of this machine") from None
    except PermissionError:
        raise InputError(f"port: {port} may not be used; expected one above 1023") from None
    except OSError as error:
        import errno

        if error.errno == errno.EADDRINUSE:
            raise _taken(port) from None
        reason = error.strerror or str(error)
        raise InputError(f"host: '{host[:60]}': {reason}; expected an address of this machine") from None


def _taken(port: int) -> InputError:
    return InputError(f"port: {port} is in use; expected a free one, or 0 for any")


def _no_tunnel(*_: Any, **__: Any) -> None:
    return None


_PRINTING = threading.Lock()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drops what viser prints at its start and end: it says neither the token nor how to stop."""
    with _PRINTING, contextlib.redirect_stdout(io.StringIO()):
        yield
