"""Sets in an S3 bucket keep the contract of a store, through lost answers, throttling and every wrong setting."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from s3_server import BUCKET, INTERNAL, SLOW_DOWN, Proxy, s3_server
from store_contract import StoreContract, assert_same, expected_of, interrupt, small_plan

from posesynth import InputError, cli
from posesynth.store import generate, open, remote, verify, write_shard  # noqa: A004
from posesynth.store.manifest import encode
from posesynth.store.remote import S3Folder, redacted
from posesynth.store.target import target
from posesynth.store.zarr_set import metadata

pytest.importorskip("obstore", reason="obstore is not installed: pip install 'posesynth[s3]'")

SECRET = "secret-of-tests"


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    with s3_server() as client:
        yield client


@pytest.fixture
def proxy(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    made = Proxy()
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
    monkeypatch.setattr(remote, "HELLO", 0.5)
    yield made
    made.close()


@pytest.fixture
def path(bucket: Any, tmp_path: Path) -> str:
    return f"s3://{BUCKET}{tmp_path}/set.zarr"


@pytest.fixture(scope="module")
def undisturbed(bucket: Any) -> dict[str, str]:
    """What the set of small_plan() consists of."""
    generate(small_plan(), f"s3://{BUCKET}/undisturbed.zarr")
    return objects(bucket, "undisturbed.zarr/")


def key(path: str, name: str = "") -> str:
    return f"{path.removeprefix(f's3://{BUCKET}/')}/{name}"


def objects(bucket: Any, prefix: str) -> dict[str, str]:
    """Entity tag (the MD5 of the bytes) of every object below a prefix."""
    listing = bucket.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return {entry["Key"].removeprefix(prefix): entry["ETag"] for entry in listing.get("Contents", [])}


def versions(bucket: Any, prefix: str) -> set[tuple[str, str]]:
    """Everything that was ever put below a prefix, or deleted."""
    listing = bucket.list_object_versions(Bucket=BUCKET, Prefix=prefix)
    return {(e["Key"], e["VersionId"]) for kind in ("Versions", "DeleteMarkers") for e in listing.get(kind, [])}


class TestS3(StoreContract):
    @pytest.fixture(autouse=True)
    def _bucket(self, bucket: Any) -> None:
        self.bucket = bucket

    def place(self, folder: Path, name: str = "set") -> str:
        return f"s3://{BUCKET}{folder}/{name}.zarr"

    def snapshot(self, folder: Path) -> Any:
        return versions(self.bucket, f"{folder}/"[1:])

    def contents(self, folder: Path) -> Any:
        return objects(self.bucket, f"{folder}/"[1:])

    # Of these two, a few cases: what they compare is the same for every kind of set, and a server makes it slow.
    @pytest.mark.parametrize("shard", [2**12])
    def test_the_cut_into_shards_changes_nothing(self, tmp_path: Path, shard: int) -> None:
        super().test_the_cut_into_shards_changes_nothing(tmp_path, shard)

    @pytest.mark.parametrize(("field", "change", "finished"), [("seed", {"seed": 12}, True), ("n", {"n": 4501}, False)])
    def test_another_set_is_refused_and_left_alone(
        self, tmp_path: Path, field: str, change: dict[str, Any], finished: bool
    ) -> None:
        super().test_another_set_is_refused_and_left_alone(tmp_path, field, change, finished)


def test_any_zarr_reader_reads_the_bucket(bucket: Any, path: str) -> None:
    import zarr
    from obstore.store import S3Store
    from zarr.storage import ObjectStore

    plan = small_plan()
    generate(plan, path)
    store = S3Store(BUCKET, prefix=key(path), client_options={"allow_http": True})
    group = zarr.open_group(ObjectStore(store, read_only=True), mode="r")
    assert group["o"][1900:2100].tobytes() == expected_of(plan, 1900, 2100).o.tobytes()
    assert group.attrs["seed"] == 11


def test_jobs_in_any_order_make_one_set(bucket: Any, path: str, undisturbed: dict[str, str]) -> None:
    done = [generate(small_plan(), path, shards=(k, k + 1)).complete for k in (2, 0, 1)]
    assert done == [False, False, True]
    assert objects(bucket, key(path)) == undisturbed


def test_a_shard_written_again_after_the_end_leaves_nothing(
    bucket: Any, path: str, undisturbed: dict[str, str]
) -> None:
    generate(small_plan(), path)
    write_shard(small_plan(), path, 1)
    assert objects(bucket, key(path)) == undisturbed


@pytest.mark.parametrize("name", ["zarr.json", "manifest.json", "o/c.1.0.0", ".journal/1.json"])
def test_a_lost_answer_is_no_conflict(
    bucket: Any, proxy: Proxy, path: str, undisturbed: dict[str, str], name: str
) -> None:
    lost: list[str] = []

    def lose_the_first(method: str, url: str, headers: dict[str, str]) -> tuple[int, bytes] | None:
        if method == "PUT" and url.endswith(f"set.zarr/{name}") and not lost:
            lost.append(url)
            return INTERNAL
        return None

    proxy.after = lose_the_first
    assert generate(small_plan(), path).complete
    assert lost
    assert objects(bucket, key(path)) == undisturbed
    if name in ("zarr.json", "manifest.json"):
        assert len(versions(bucket, key(path, name))) == 1  # it was not written over


def test_throttling_is_waited_out(bucket: Any, proxy: Proxy, path: str, undisturbed: dict[str, str]) -> None:
    seen: set[tuple[str, str]] = set()

    def refuse_each_once(method: str, url: str, headers: dict[str, str]) -> tuple[int, bytes] | None:
        new = (method, url) not in seen
        seen.add((method, url))
        return SLOW_DOWN if new else None

    proxy.before = refuse_each_once
    assert generate(small_plan(), path).complete
    assert objects(bucket, key(path)) == undisturbed
    assert len(proxy.requests) > len(seen) > 15


def test_a_store_that_stays_down_ends_the_run_in_bounded_time(
    bucket: Any, proxy: Proxy, path: str, undisturbed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PATIENCE", 1.0)
    proxy.before = lambda method, url, headers: SLOW_DOWN if method == "PUT" and "/c.1" in url else None
    begun = time.monotonic()
    with pytest.raises(InputError, match=r"503 Service Unavailable SlowDown; tried \d+ times.*same command") as error:
        generate(small_plan(), path)
    assert time.monotonic() - begun < 10
    assert len(error.value.lines) == 1
    assert len(proxy.requests) > 10
    with pytest.raises(InputError, match="not finished"):
        open(path)
    proxy.before = lambda method, url, headers: None
    assert generate(small_plan(), path).reused > 0
    assert objects(bucket, key(path)) == undisturbed


def put_before(proxy: Proxy, bucket: Any, path: str, name: str, data: bytes) -> None:
    """Another client puts an object in the moment before ours arrives."""

    def put(method: str, url: str, headers: dict[str, str]) -> None:
        if method == "PUT" and url.endswith(f"set.zarr/{name}"):
            bucket.put_object(Bucket=BUCKET, Key=key(path, name), Body=data)

    proxy.before = put


@pytest.mark.parametrize("name", ["zarr.json", "manifest.json"])
def test_of_two_sets_at_once_the_second_is_refused(bucket: Any, proxy: Proxy, path: str, name: str) -> None:
    theirs = metadata(small_plan(seed=12), None)["zarr.json"]
    put_before(proxy, bucket, path, name, theirs)
    with pytest.raises(InputError, match=f"{name}: was written by another posesynth generate"):
        generate(small_plan(), path)
    assert bucket.get_object(Bucket=BUCKET, Key=key(path, name))["Body"].read() == theirs


def test_of_one_set_twice_at_once_both_go_on(bucket: Any, proxy: Proxy, path: str, undisturbed: dict[str, str]) -> None:
    put_before(proxy, bucket, path, "zarr.json", metadata(small_plan(), None)["zarr.json"])
    assert generate(small_plan(), path).complete
    assert objects(bucket, key(path)) == undisturbed


def test_a_damaged_document_is_replaced_only_as_it_was_read(
    bucket: Any, proxy: Proxy, path: str, undisturbed: dict[str, str]
) -> None:
    generate(small_plan(), path)
    bucket.put_object(Bucket=BUCKET, Key=key(path, "o/zarr.json"), Body=b"{}")
    put_before(proxy, bucket, path, "o/zarr.json", b'{"zarr_format": 2}')
    with pytest.raises(InputError, match=r"o/zarr\.json: was written by another"):
        generate(small_plan(), path)
    proxy.before = lambda method, url, headers: None
    generate(small_plan(), path)
    assert objects(bucket, key(path)) == undisturbed


@pytest.mark.parametrize("kind", ["takes no notice", "refuses"])
def test_a_store_without_conditions_is_warned_of(
    bucket: Any, proxy: Proxy, path: str, undisturbed: dict[str, str], kind: str
) -> None:
    if kind == "refuses":
        answer = (501, b"<Error><Code>NotImplemented</Code></Error>")
        proxy.before = lambda method, url, headers: answer if "if-none-match" in map(str.lower, headers) else None
    else:
        proxy.drop = {"if-none-match", "if-match"}
    with pytest.warns(UserWarning, match="no conditional writes"):
        assert generate(small_plan(), path).complete
    assert objects(bucket, key(path)) == undisturbed


def test_resuming_reads_no_shard(bucket: Any, proxy: Proxy, path: str) -> None:
    interrupt(small_plan(), path, after=2)
    proxy.requests.clear()
    assert generate(small_plan(), path).reused == 2
    assert not [url for method, url in proxy.requests if method == "GET" and "/c." in url]


@pytest.mark.parametrize("metadata", ["none", "others", "its own"])
def test_a_shard_that_was_replaced_is_written_again(
    bucket: Any, path: str, undisturbed: dict[str, str], metadata: str
) -> None:
    interrupt(small_plan(), path, after=2)
    name = key(path, "p2d/c.0.0.0")
    own = bucket.head_object(Bucket=BUCKET, Key=name)["Metadata"]
    kept = {"none": {}, "others": {"sha256": "0" * 64, "length": "7"}, "its own": own}[metadata]
    bucket.put_object(Bucket=BUCKET, Key=name, Body=b"rubbish", Metadata=kept)
    assert generate(small_plan(), path).reused == 1
    assert objects(bucket, key(path)) == undisturbed


def test_a_shard_that_another_tool_has_copied_is_kept(bucket: Any, path: str, undisturbed: dict[str, str]) -> None:
    interrupt(small_plan(), path, after=2)
    name = key(path, "p2d/c.0.0.0")
    data = bucket.get_object(Bucket=BUCKET, Key=name)["Body"].read()
    bucket.put_object(Bucket=BUCKET, Key=name, Body=data)
    assert generate(small_plan(), path).reused == 2
    assert objects(bucket, key(path)) == undisturbed


def test_verify_reads_every_byte_and_repairs(bucket: Any, path: str, undisturbed: dict[str, str]) -> None:
    generate(small_plan(), path)
    name = key(path, "o/c.1.0.0")
    found = bucket.get_object(Bucket=BUCKET, Key=name)
    data = bytearray(found["Body"].read())
    data[50_000] ^= 1
    bucket.put_object(Bucket=BUCKET, Key=name, Body=bytes(data), Metadata=found["Metadata"])
    bucket.delete_object(Bucket=BUCKET, Key=key(path, "p2d/c.2.0.0"))
    report = verify(path)
    assert [str(finding).removeprefix(path) for finding in report.findings] == [
        "/o/c.1.0.0: differs from sample 2000 on",
        "/p2d/c.2.0.0: is missing",
    ]
    assert verify(path, repair=True).good
    assert objects(bucket, key(path)) == undisturbed


def test_a_shard_that_was_cut_is_never_read(bucket: Any, path: str) -> None:
    generate(small_plan(), path)
    data = open(path)
    bucket.put_object(Bucket=BUCKET, Key=key(path, "o/c.1.0.0"), Body=b"short")
    with pytest.raises(InputError, match=r"o/c.1.0.0: is missing or damaged"):
        data[3000:3010]
    with pytest.raises(InputError, match=r"o/c.1.0.0: has 5 bytes; expected \d+"):
        open(path)


def test_a_forked_process_is_told_instead_of_hanging(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_process", -1)
    with pytest.raises(InputError, match="forked"):
        open(path)


def test_parts_of_an_object(bucket: Any, path: str) -> None:
    folder = S3Folder(path)
    folder.put("x", b"0123456789")
    assert folder.read("x") == b"0123456789"
    assert folder.read("x", 3) == b"3456789"
    assert folder.read("x", 3, 2) == b"34"
    assert folder.read("x", 8, 100) == b"89"
    assert folder.read("x", 10, 1) == folder.read("x", 3, 0) == b""
    assert folder.read("y") is folder.read("y", 3, 2) is folder.digest("y") is folder.kept_digest("y", 1) is None
    folder.remove("y")
    folder.remove("x")
    assert folder.sizes() == {}


def forget_credentials(patch: pytest.MonkeyPatch) -> None:
    patch.delenv("AWS_ACCESS_KEY_ID")
    patch.delenv("AWS_SECRET_ACCESS_KEY")
    patch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")


WRONG: dict[str, tuple[Callable[[pytest.MonkeyPatch], object] | None, str, str]] = {
    "no credentials": (forget_credentials, "s3://sets/x.zarr", "no credentials; expected AWS_ACCESS_KEY_ID"),
    "half of them": (lambda p: p.delenv("AWS_SECRET_ACCESS_KEY"), "s3://sets/x.zarr", "no credentials"),
    "no bucket": (None, "s3://nowhere/x.zarr", "there is no bucket 'nowhere'"),
    "nobody there": (
        lambda p: p.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        "s3://sets/x.zarr",
        "http://127.0.0.1:9 cannot be reached",
    ),
    "no such host": (
        lambda p: p.setenv("AWS_ENDPOINT_URL_S3", "https://nowhere.invalid"),
        "s3://sets/x.zarr",
        "https://nowhere.invalid cannot be reached",
    ),
    "endpoint that is none": (
        lambda p: p.setenv("AWS_ENDPOINT_URL", "localhost"),
        "s3://sets/x.zarr",
        "AWS_ENDPOINT_URL: is localhost; expected http://HOST:PORT",
    ),
    "endpoint with a password": (
        lambda p: p.setenv("AWS_ENDPOINT_URL", f"http://me:{SECRET}@127.0.0.1:9"),
        "s3://sets/x.zarr",
        "AWS_ENDPOINT_URL: is http://***@127.0.0.1:9; expected",
    ),
    "URL with a password": (None, f"s3://me:{SECRET}@sets/x.zarr", "credentials belong in the environment"),
    "password with an @": (None, f"s3://me:{SECRET}@@sets/x.zarr", "s3://***@sets/x.zarr: is no place"),
    "password, wrong ending": (None, f"s3://me:{SECRET}@sets/x", "credentials belong in the environment"),
    "password, other scheme": (None, f"gs://me:{SECRET}@sets/x.zarr", "expected s3://bucket/path.zarr"),
    "signed URL": (None, f"s3://sets/x.zarr?X-Amz-Signature={SECRET}", "s3://sets/x.zarr?***: is no place"),
    "other scheme": (None, "https://sets/x.zarr", "expected s3://bucket/path.zarr"),
    "pathlib's slash": (None, "s3:/sets/x.zarr", "expected s3://bucket/path.zarr"),
    "no path": (None, "s3://sets", "expected s3://bucket/path.zarr"),
    "no bucket's name": (None, "s3:///x.zarr", "expected s3://bucket/path.zarr"),
    "HDF5": (None, "s3://sets/x.h5", "expected s3://bucket/path.zarr"),
    "upwards": (None, "s3://sets/../x.zarr", "expected s3://bucket/path.zarr"),
    "without obstore": (
        lambda p: p.setitem(sys.modules, "obstore.store", None),
        "s3://sets/x.zarr",
        "needs obstore; pip install 'posesynth[s3]'",
    ),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("command", ["generate", "verify"])
def test_wrong_settings_give_one_line_soon_and_no_secret(
    bucket: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case: str, command: str
) -> None:
    change, out, expected = WRONG[case]
    if case != "nobody there":  # which waits as long as users will
        monkeypatch.setattr(remote, "HELLO", 0.5)
    if change is not None:
        change(monkeypatch)
    args = ["generate", "-s", "quadruped", "--n", "100", "--out", out] if command == "generate" else ["verify", out]
    begun = time.monotonic()
    with pytest.raises(SystemExit) as leave:
        cli.main(args)
    assert time.monotonic() - begun < 10
    assert leave.value.code == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if "samples" not in line and " B" not in line]
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("error: ")
    assert len(lines[0]) <= 300
    assert expected in lines[0]
    assert SECRET not in captured.err + captured.out
    assert not Path("s3:").exists()


@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "InvalidAccessKeyId", "AccessDenied"])
def test_refused_access_shows_no_key(proxy: Proxy, path: str, code: str) -> None:
    report = f"<Error><Code>{code}</Code><AWSAccessKeyId>key-of-tests</AWSAccessKeyId></Error>".encode()
    proxy.before = lambda method, url, headers: (403, report)
    with pytest.raises(InputError, match=rf"access was refused \({code}\)") as error:
        generate(small_plan(), path)
    assert "key-of-tests" not in str(error.value)


def test_redacted_urls_keep_host_and_path() -> None:
    assert redacted("s3://a:b@c/d.zarr") == "s3://***@c/d.zarr"
    assert redacted("s3://c/d@e.zarr") == "s3://c/d@e.zarr"
    assert redacted("s3://c/d.zarr?a=b#c") == "s3://c/d.zarr?***"


def test_an_at_sign_in_the_path_is_no_password(bucket: Any, path: str) -> None:
    path = path.replace("set.zarr", "s@t.zarr")
    generate(small_plan(n=10), path)
    assert_same(open(path)[:], expected_of(small_plan(n=10)))


def test_leftovers_of_other_files_are_not_touched(bucket: Any, path: str) -> None:
    bucket.put_object(Bucket=BUCKET, Key=key(path, "notes.txt"), Body=encode({}))
    with pytest.raises(InputError, match="not a posesynth data set"):
        generate(small_plan(), path)
    assert target(path).free() is None
    assert list(objects(bucket, key(path))) == ["notes.txt"]
