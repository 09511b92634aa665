"""An S3 server on loopback (moto's), and a proxy before it that can be told to misbehave."""

import http.client
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

BUCKET = "sets"

SLOW_DOWN = (503, b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>")
INTERNAL = (500, b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>")

Fault = Callable[[str, str, dict[str, str]], tuple[int, bytes] | None]


@contextmanager
def s3_server() -> Iterator[Any]:
    """A bucket called `sets` that keeps every version; the environment names the server; gives a boto3 client."""
    moto = pytest.importorskip(
        "moto.moto_server.werkzeug_app", reason="moto is not installed: no S3 server to test with"
    )
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed: nothing to look into the bucket with")
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # connections stay open

        def log(self, *args: Any) -> None:
            pass

    app = moto.create_backend_app("s3")
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key-of-tests")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-tests")
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setenv("no_proxy", "127.0.0.1")
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield client
    client.close()
    server.shutdown()
    thread.join()
    server.server_close()


class Proxy:
    """Hands requests on to AWS_ENDPOINT_URL.

    before(method, path, headers): an answer to give instead of asking the server.  after: one to give although the
    server has done what it was asked, as when its answer is lost.  drop: headers that the server never sees.
    """

    def __init__(self) -> None:
        self.before: Fault = lambda method, path, headers: None
        self.after: Fault = lambda method, path, headers: None
        self.drop: set[str] = set()
        self.requests: list[tuple[str, str]] = []
        self._upstream = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(proxy: "Proxy") -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name: value for name, value in self.headers.items() if name.lower() not in proxy.drop}
                proxy.requests.append((self.command, self.path))
                answer = proxy.before(self.command, self.path, headers)
                if answer is None:
                    answer_headers, answer = self.ask(body, headers)
                    told = proxy.after(self.command, self.path, headers)
                    if told is None:
                        self.give(*answer, answer_headers)
                        return
                    answer = told
                self.give(*answer, {})

            def ask(self, body: bytes, headers: dict[str, str]) -> tuple[dict[str, str], tuple[int, bytes]]:
                upstream = http.client.HTTPConnection(proxy._upstream, timeout=20)
                upstream.request(self.command, self.path, body, headers)
                response = upstream.getresponse()
                data = response.read()
                upstream.close()
                skipped = {"connection", "transfer-encoding", "date", "server"}
                return {k: v for k, v in response.getheaders() if k.lower() not in skipped}, (response.status, data)

            def give(self, status: int, data: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                lengths = {} if "content-length" in map(str.lower, headers) else {"Content-Length": str(len(data))}
                for name, value in (headers | lengths).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = serve  # noqa: N815

            def log_message(self, *args: Any) -> None:
                pass

        return Handler
