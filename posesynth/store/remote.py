"""A `Folder` in an S3 bucket, through obstore: `S3Folder`.

An object is there whole or not at all, so there are no temporary names, and once its PUT is answered it stays, so there
is nothing to sync.  There are no locks: what says which set a path holds is written on condition that nobody else has
written it meanwhile.

Endpoint, region and credentials come from the environment: AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, AWS_REGION,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.  No message shows a credential.
"""

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from posesynth.errors import InputError
from posesynth.store.folder import Bytes, Write, is_partial

PATIENCE = 120.0
"""Seconds for which a request that the server cannot answer now (503, 500, lost connections) is sent again."""

HELLO = 5.0
"""The same for the first request of all: a wrong endpoint, bucket or key should show at once."""

TIMEOUT = 600  # seconds that one request may take: a shard is one request

_URL = re.compile(r"s3://(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]{1,254})/(?P<prefix>[^?#\s]+\.zarr)/*")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")

T = TypeVar("T")


class S3Folder:
    """A `Folder` at s3://bucket/path.  InputError where the URL cannot be one, or a request fails for good."""

    def __init__(self, url: str) -> None:
        self.where = redacted(url)
        match = _URL.fullmatch(url)
        if match is None or self.where != url or not {"", ".", ".."}.isdisjoint(match["prefix"].split("/")):
            hint = "; credentials belong in the environment" if self.where != url else ""
            raise InputError(f"{self.where}: is no place for a data set; expected s3://bucket/path.zarr{hint}")
        self._bucket, self._prefix = match["bucket"], match["prefix"]
        self._endpoint = _endpoint()
        self._patient = self._connect(PATIENCE)
        self._quick = self._connect(HELLO)
        self._answered = False  # whether the bucket has answered at all
        self._conditional: bool | None = None  # whether the store keeps to If-None-Match, if that is known

    def __reduce__(self) -> tuple[type["S3Folder"], tuple[str]]:
        return S3Folder, (self.where,)

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes | None:
        """See `Folder`."""
        import obstore

        if length is None and start == 0:
            return self._document(name)[0]
        if length == 0:
            return b""
        span: Any = {"offset": start} if length is None else (start, start + length)
        try:
            return self._ask(lambda store: bytes(obstore.get(store, name, options={"range": span}).bytes()))
        except FileNotFoundError:
            return None
        except _BeyondError:
            return b""

    def digest(self, name: str) -> str | None:
        """See `Folder`.  Reads the object."""
        import obstore

        def read(store: Any) -> str:
            sha256 = hashlib.sha256()
            for part in obstore.get(store, name).stream():
                sha256.update(part)
            return sha256.hexdigest()

        try:
            return self._ask(read)
        except FileNotFoundError:
            return None

    def kept_digest(self, name: str, length: int) -> str | None:
        """See `Folder`: the digest that the object was put with, if it has that length still; else as `digest`.

        S3 compares an upload with its signed SHA-256 before it takes it, and changes no object afterwards.
        """
        import obstore

        try:
            found = self._ask(lambda store: obstore.get(store, name, options={"head": True}))
        except FileNotFoundError:
            return None
        if found.meta["size"] != length:
            return None
        said: dict[str, str] = dict(found.attributes)
        if "sha256" in said and said.get("length") == str(found.meta["size"]):
            return said["sha256"]
        return self.digest(name)

    def put(self, name: str, data: Bytes) -> None:
        """See `Folder`."""
        self._put(name, data, "overwrite", self._patient)

    @contextmanager
    def writing(self, name: str) -> Iterator[Write]:
        """See `Folder`."""
        data = bytearray()
        yield data.extend
        self.put(name, data)

    def settle(self, name: str, data: bytes) -> None:
        """See `Folder`.  Another run that writes something else here at the same time gets, or gives, an InputError."""
        found, tag = self._document(name)
        if found == data:
            return
        try:
            self._put_if(name, data, "create" if found is None else {"e_tag": tag})
        except _ChangedError:
            # Another run of the same plan was first; or this one was, and the answer was lost on its way.
            if self._document(name)[0] != data:
                raise InputError(
                    f"{self.where}: {name}: was written by another posesynth generate at the same time; "
                    "expected one set to a path"
                ) from None

    def sizes(self) -> dict[str, int]:
        """See `Folder`."""
        import obstore

        found = self._ask(lambda store: [entry for page in obstore.list(store) for entry in page])
        return {entry["path"]: entry["size"] for entry in found}

    def remove(self, name: str) -> None:
        """See `Folder`."""
        import obstore

        try:
            self._ask(lambda store: obstore.delete(store, name))
        except FileNotFoundError:
            return

    def is_leftover(self, name: str) -> bool:
        """See `Folder`."""
        return is_partial(name)

    def lock(self, shared: bool) -> AbstractContextManager[None]:
        """No lock: two runs of one plan write the same bytes, and `settle` refuses the second of two plans."""
        return nullcontext()

    def free(self) -> int | None:
        """Nobody knows."""
        return None

    def _document(self, name: str) -> tuple[bytes | None, str | None]:
        """An object and its entity tag."""
        import obstore

        def read(store: Any) -> tuple[bytes, str | None]:
            found = obstore.get(store, name)
            return bytes(found.bytes()), found.meta["e_tag"]

        try:
            return self._ask(read)
        except FileNotFoundError:
            return None, None

    def _put(self, name: str, data: Bytes, mode: Any, store: Any) -> None:
        import obstore

        attributes = {"sha256": hashlib.sha256(data).hexdigest(), "length": str(memoryview(data).nbytes)}
        # One request: the parts of an upload that was killed would stay in the bucket, unseen and paid for.
        self._ask(
            lambda store: obstore.put(store, name, data, mode=mode, attributes=attributes, use_multipart=False), store
        )

    def _put_if(self, name: str, data: bytes, mode: Any) -> None:
        if self._conditional is False:
            self._put(name, data, "overwrite", self._patient)
            return
        try:
            self._put(name, data, mode, self._quick)
        except _UnsupportedError:
            self._warn_unconditional()
            self._put(name, data, "overwrite", self._patient)
        except _UnansweredError:
            self._put(name, data, mode, self._patient)
        else:
            if self._conditional is None and mode == "create":
                self._check_conditions(name, data)

    def _check_conditions(self, name: str, data: bytes) -> None:
        # Some stores take no notice of the condition.  The same object once more, which must not be created again.
        with suppress(_UnansweredError):
            try:
                self._put(name, data, "create", self._quick)
            except _ChangedError:
                self._conditional = True
            else:
                self._warn_unconditional()

    def _warn_unconditional(self) -> None:
        self._conditional = False
        warnings.warn(
            f"{self.where}: the store knows no conditional writes, so it cannot refuse a second, different set at "
            "this path; see to it that only one is written",
            stacklevel=2,
        )

    def _connect(self, seconds: float) -> Any:
        try:
            from obstore.exceptions import BaseError
            from obstore.store import S3Store
        except ImportError:
            raise InputError(f"{self.where}: needs obstore; pip install 'posesynth[s3]'") from None
        client: Any = {
            "allow_http": self._endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=min(5.0, seconds)),
            "timeout": timedelta(seconds=TIMEOUT),
        }
        backoff: Any = {
            "init_backoff": timedelta(milliseconds=100),
            "max_backoff": timedelta(seconds=min(10.0, seconds / 4)),
            "base": 2,
        }
        retry: Any = {
            "max_retries": max(1, round(seconds)),
            "retry_timeout": timedelta(seconds=seconds),
            "backoff": backoff,
        }
        try:
            return S3Store(self._bucket, prefix=self._prefix, client_options=client, retry_config=retry)
        except BaseError as error:
            raise self._fault(str(error)) from None

    def _ask(self, request: Callable[[Any], T], store: Any = None) -> T:
        """The answer to a request; FileNotFoundError, one of the three below, or InputError."""
        from obstore.exceptions import BaseError

        _refuse_after_fork(self.where)
        if store is None:
            store = self._patient if self._answered else self._quick
        try:
            answer = request(store)
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._fault(str(error)) from None
            self._answered = True
            raise FileNotFoundError(f"{self.where}: no such object") from None
        except BaseError as error:
            raise _kind(error, self._fault(str(error))) from None
        self._answered = True
        return answer

    def _fault(self, report: str) -> InputError:
        """One line of obstore's report, which holds addresses, keys' names and the server's XML."""
        code = _first(r"<Code>(\w{1,60})</Code>", report)
        status = _first(r"status code: (\d{3}\b[ \w]{0,40})", report)
        if code == "NoSuchBucket":
            fault = f"there is no bucket '{self._bucket}'; expected one that exists"
        elif "/latest/api/token" in report or "/latest/meta-data" in report or re.search(r"Missing \w*Key", report):
            fault = "no credentials; expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
        elif status[:3] in ("401", "403"):
            fault = f"access was refused ({code or status}); check the credentials, AWS_REGION and the bucket's policy"
        elif status[:3] in ("301", "307", "400") and code in ("PermanentRedirect", "AuthorizationHeaderMalformed"):
            fault = f"the bucket is in another region ({code}); expected that region in AWS_REGION"
        elif not status and ("kind: Connect" in report or "kind: Timeout" in report):
            fault = f"{self._endpoint} cannot be reached; check the network and AWS_ENDPOINT_URL"
        else:
            tries = int(_first(r"after (\d+) retries", report) or 0) + 1
            reason = " ".join(part for part in (status, code) if part) or _first(r"HTTP error: ([\w ]{1,60})", report)
            fault = (
                f"the store did not do what was asked ({reason or 'no reason given'}; tried {tries} times); "
                "the same command again goes on from what is written"
            )
        return InputError(f"{self.where}: {fault}")


class _BeyondError(InputError):
    """A range that begins at or after the object's end."""


class _ChangedError(InputError):
    """The condition of a write did not hold."""


class _UnsupportedError(InputError):
    """The store does not know conditions."""


class _UnansweredError(InputError):
    """No good answer for as long as was waited."""


def _kind(error: Exception, fault: InputError) -> InputError:
    from obstore.exceptions import AlreadyExistsError, NotSupportedError, PreconditionError

    report = str(error)
    status = _first(r"status code: (\d{3})", report)
    kind = InputError
    if status == "416":
        kind = _BeyondError
    elif isinstance(error, (AlreadyExistsError, PreconditionError)) or status == "409":
        kind = _ChangedError
    elif isinstance(error, (NotSupportedError, NotImplementedError)) or status == "501":
        kind = _UnsupportedError
    elif status[:1] in ("", "5"):
        kind = _UnansweredError
    return kind(*fault.lines)


def redacted(url: str) -> str:
    """The URL as a message may show it: without user, password and query."""
    url = re.sub(r"(://)[^/]*@", r"\1***@", url)
    return re.sub(r"[?#].*", "?***", url, flags=re.DOTALL)


def _endpoint() -> str:
    variable = next((name for name in _ENDPOINTS if os.environ.get(name)), None)
    if variable is None:
        return "Amazon S3"
    url = os.environ[variable]
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or redacted(url) != url:
        raise InputError(
            f"{variable}: is {redacted(url)[:80]}; expected http://HOST:PORT or https://HOST, nothing more"
        )
    return url


def _first(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1].strip() if match else ""


# obstore's threads do not survive a fork: the child would wait for ever.
_process: int | None = None


def _refuse_after_fork(where: str) -> None:
    global _process
    if _process is None:
        _process = os.getpid()
    elif _process != os.getpid():
        raise InputError(
            f"{where}: cannot be used in a forked process; expected one that is spawned, "
            'as with DataLoader(multiprocessing_context="spawn")'
        )
