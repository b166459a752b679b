"""Plays the part of Google Cloud Storage that TensorFlow's gs:// uses, in memory and without a network.

TensorFlow asks https://www.googleapis.com and https://storage.googleapis.com, whatever one sets; it does so through the
proxy in `https_proxy`, and trusts the certificates in `CURL_CA_BUNDLE`. The server here is that proxy, and answers for
both hosts itself with a certificate made for the occasion.
"""

import contextlib
import dataclasses
import http.server
import itertools
import json
import multiprocessing
import multiprocessing.managers
import os
import pathlib
import re
import ssl
import threading
import urllib.parse
from collections.abc import Iterator

import trustme

STAMP = "2026-01-01T00:00:00.000Z"
_NUMBERS = itertools.count()
HOSTS = ("www.googleapis.com", "storage.googleapis.com")


@dataclasses.dataclass(frozen=True)
class Request:
    """What TensorFlow asked for.

    Attributes:
        method: GET, POST, PUT or DELETE.
        path: the path of the address, without host and query.
        query: the query.
        key: the bucket and name of the object that it is about, with a slash between them; the bucket for a listing.
    """

    method: str
    path: str
    query: dict[str, str]
    key: str


@dataclasses.dataclass(frozen=True)
class Fault:
    """Says which requests fail.

    Attributes:
        status: the status that they get; 0 for one that is answered, after `seconds`.
        writing: whether only requests that change the bucket fail (True), only others (False), or both (None).
        path: a pattern of the paths that fail.
        once: a pattern of names; nothing fails before there is such an object.
        every: each how manieth of these requests fails.
        times: how many fail at most.
        seconds: how long the answer takes.
    """

    status: int
    writing: bool | None = None
    path: str = ""
    once: str = ""
    every: int = 1
    times: int = 1_000_000
    seconds: float = 0.0


class FakeGcs:
    """Holds the objects of a bucket, and answers requests.

    Args:
        bucket: the name of the only bucket.
        folder: a folder for the certificate.
    """

    def __init__(self, bucket: str, folder: pathlib.Path) -> None:
        self._bucket, self._objects = bucket, {}
        self._requests, self._generations, self._faults, self._met = [], {}, (), []
        self._lock, self._changed, self._certificate = threading.RLock(), threading.Event(), folder / "authority.pem"
        context, authority = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), trustme.CA()
        authority.issue_cert(*HOSTS).configure_cert(context)
        authority.cert_pem.write_to_path(str(self._certificate))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, context))
        self._port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def environment(self) -> dict[str, str]:
        """Returns the variables that send a process of TensorFlow here."""
        return {
            "https_proxy": f"http://127.0.0.1:{self._port}",
            "CURL_CA_BUNDLE": str(self._certificate),
            "GOOGLE_AUTH_TOKEN_FOR_TESTING": "token",
            "NO_GCE_CHECK": "true",
        }

    def fail(self, *faults: Fault) -> None:
        """Fails the requests that are described from now on; those that wait for an answer get it."""
        with self._lock:
            self._changed.set()
            self._faults, self._met, self._changed = faults, [0] * len(faults), threading.Event()

    def requests(self) -> list[Request]:
        """Returns every request so far."""
        return list(self._requests)

    def names(self, prefix: str = "") -> list[str]:
        """Returns the names of the objects that begin with a prefix, without it."""
        start = f"{self._bucket}/{prefix}"
        with self._lock:
            return sorted(key[len(start) :] for key in self._objects if key.startswith(start))

    def read(self, name: str) -> bytes:
        """Returns the content of an object."""
        return self._objects[f"{self._bucket}/{name}"]

    def upload(self, folder: pathlib.Path, name: str) -> None:
        """Puts the files of a folder into the bucket, below a name."""
        for path in folder.rglob("*"):
            if path.is_file():
                self._put(f"{self._bucket}/{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def download(self, name: str, folder: pathlib.Path) -> pathlib.Path:
        """Writes the objects below a name into a folder, and returns it."""
        for rest in self.names(f"{name}/"):
            if rest and not rest.endswith("/"):
                (folder / rest).parent.mkdir(parents=True, exist_ok=True)
                (folder / rest).write_bytes(self.read(f"{name}/{rest}"))
        return folder

    def _failed(self, request: Request) -> int | None:
        """Returns the status of a request that fails."""
        for number, fault in enumerate(self._faults):
            if fault.writing not in (None, request.method != "GET") or not re.search(fault.path, request.path):
                continue
            if fault.once and not any(re.search(fault.once, name) for name in self.names()):
                continue
            self._met[number] += 1
            if self._met[number] % fault.every == 0 and self._met[number] <= fault.times * fault.every:
                return fault.status
        return None

    def _answer(self, request: Request, body: bytes, range_header: str) -> tuple[int, bytes, dict[str, str]]:
        """Answers a request: the status, the body and the headers."""
        changed = self._changed
        changed.wait(sum(fault.seconds for fault in self._faults))
        with self._lock:
            self._requests.append(request)
            status = self._failed(request)
            if not status and request.key.split("/")[0] != self._bucket:
                status = 404
            if status:
                return status, b"refused by the test", {}
            for pattern, reply in (
                (r"/upload/storage/v1/b/[^/]+/o", self._upload),
                (r"/storage/v1/b/[^/]+/o/[^/]+/rewriteTo/b/([^/]+)/o/([^/]+)", self._rewrite),
                (r"/storage/v1/b/[^/]+/o/[^/]+", self._one),
                (r"/storage/v1/b/[^/]+/o", self._list),
                (r"/storage/v1/b/[^/]+(?:/storageLayout)?", self._bucket_itself),
                (r"/[^/]+/.+", self._content),
            ):
                if found := re.fullmatch(pattern, request.path):
                    return reply(request, found, body, range_header)
            return 501, b"", {}

    def _put(self, key, data):
        with self._lock:
            self._generations[key] = self._generations.get(key, 0) + 1
            self._objects[key] = data

    def _upload(self, request, _found, body, content_range):
        key = request.key
        if request.method == "POST" and request.query.get("uploadType") == "resumable":
            bucket, name = key.split("/", 1)
            query = urllib.parse.urlencode({"uploadType": "session", "name": name})
            return 200, b"", {"Location": f"https://{HOSTS[0]}/upload/storage/v1/b/{bucket}/o?{query}"}
        if request.query.get("ifGenerationMatch") == "0" and key in self._objects:
            return 412, b"", {}
        self._put(key, body)
        return _as_json({"name": key.split("/", 1)[1]})

    def _rewrite(self, request, found, _body, _range):
        target = f"{found[1]}/{urllib.parse.unquote(found[2])}"
        if request.key not in self._objects:
            return 404, b"", {}
        self._put(target, self._objects[request.key])
        return _as_json({"done": True})

    def _one(self, request, _found, _body, _range):
        if request.key not in self._objects:
            return 404, b"", {}
        if request.method == "DELETE":
            del self._objects[request.key]
            return 204, b"", {}
        size, generation = len(self._objects[request.key]), self._generations[request.key]
        return _as_json({"size": str(size), "generation": str(generation), "updated": STAMP})

    def _list(self, request, _found, _body, _range):
        prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter")
        start = f"{request.key}/{prefix}"
        items, prefixes = [], []
        for key in sorted(key for key in self._objects if key.startswith(start)):
            first, found, _ = key[len(start) :].partition(delimiter) if delimiter else (key[len(start) :], "", "")
            if not found:
                items.append({"name": prefix + first})
            elif prefix + first + found not in prefixes:
                prefixes.append(prefix + first + found)
        return _as_json({"items": items[: int(request.query.get("maxResults", 10**6))], "prefixes": prefixes})

    def _bucket_itself(self, request, _found, _body, _range):
        return _as_json({"name": request.key, "location": "US", "hierarchicalNamespace": {"enabled": False}})

    def _content(self, request, _found, _body, wanted):
        if request.key not in self._objects:
            return 404, b"", {}
        data = self._objects[request.key]
        if found := re.fullmatch(r"bytes=(\d+)-(\d+)", wanted):
            first, last = int(found[1]), min(int(found[2]), len(data) - 1)
            if first >= len(data):
                return 416, b"", {}
            return 206, data[first : last + 1], {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
        return 200, data, {}


def _as_json(value):
    return 200, json.dumps(value).encode(), {}


def _request(method: str, address: str) -> Request:
    url = urllib.parse.urlsplit(address)
    query = dict(urllib.parse.parse_qsl(url.query))
    if found := re.match(r"(?:/upload)?/storage/v1/b/([^/]+)(?:/o(?:/([^/]+))?)?", url.path):
        name = urllib.parse.unquote(found[2] or "") or (query.get("name", "") if "/upload/" in url.path else "")
        return Request(method, url.path, query, f"{found[1]}/{name}" if name else found[1])
    return Request(method, url.path, query, urllib.parse.unquote(url.path[1:]))


def _handler(gcs: FakeGcs, context: ssl.SSLContext) -> type[http.server.BaseHTTPRequestHandler]:
    """Returns the class that answers the requests of a connection."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_CONNECT(self):
            self.send_response(200, "Connection established")
            self.end_headers()
            self.connection = context.wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
            self.close_connection = False

        def _answer(self):
            request, body = _request(self.command, self.path), self._body()
            status, body, headers = gcs._answer(request, body, self.headers.get("Range", ""))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def _body(self):
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

    return Handler


class _Manager(multiprocessing.managers.BaseManager):
    """Runs the bucket in a process of its own, since TensorFlow sometimes waits for it with Python's lock held."""


_Manager.register("FakeGcs", FakeGcs)


@contextlib.contextmanager
def serve(folder: pathlib.Path) -> Iterator[FakeGcs]:
    """Serves a new bucket inside a `with` block. Its name is new, since TensorFlow remembers for seconds what it saw.

    Args:
        folder: a folder for the certificate.

    Yields:
        A proxy of `FakeGcs`, with the address of the bucket as `address`.
    """
    bucket = f"bucket-{os.getpid()}-{next(_NUMBERS)}"
    with _Manager(ctx=multiprocessing.get_context("spawn")) as manager:
        gcs = manager.FakeGcs(bucket, folder)
        gcs.address = f"gs://{bucket}"
        yield gcs
