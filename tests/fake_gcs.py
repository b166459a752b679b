"""Plays the part of Google Cloud Storage that TensorFlow's gs:// uses, in memory and without a network.

TensorFlow asks https://www.googleapis.com and https://storage.googleapis.com, whatever one sets; it does so through the
proxy in `https_proxy`, and trusts the certificates in `CURL_CA_BUNDLE`. The server here is that proxy, and answers for
both hosts itself with a certificate made for the occasion.
"""

import contextlib
import dataclasses
import http.server
import json
import pathlib
import re
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator

import trustme

STAMP = "2026-01-01T00:00:00.000Z"
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

    @property
    def writes(self) -> bool:
        """Returns whether it would change the bucket."""
        return self.method != "GET"


@dataclasses.dataclass
class FakeGcs:
    """Holds the objects, and what was asked for.

    Attributes:
        buckets: the names of the buckets; what is in another is not found.
        objects: the content of each object, by bucket and name with a slash between them.
        requests: every request so far.
        fault: returns the status to fail a request with, or `None` to answer it.
        environment: the variables that send a process of TensorFlow here.
    """

    buckets: set[str] = dataclasses.field(default_factory=lambda: {"bucket"})
    objects: dict[str, bytes] = dataclasses.field(default_factory=dict)
    requests: list[Request] = dataclasses.field(default_factory=list)
    fault: Callable[[Request], int | None] = lambda request: None
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    _generations: dict[str, int] = dataclasses.field(default_factory=dict)
    _sessions: dict[str, bytes] = dataclasses.field(default_factory=dict)
    _lock: threading.RLock = dataclasses.field(default_factory=threading.RLock)

    def names(self, prefix: str = "") -> list[str]:
        """Returns the names of the objects in `bucket` that begin with a prefix, without it."""
        start = f"bucket/{prefix}"
        with self._lock:
            return sorted(key[len(start) :] for key in self.objects if key.startswith(start))

    def read(self, name: str) -> bytes:
        """Returns the content of an object in `bucket`."""
        return self.objects[f"bucket/{name}"]

    def upload(self, folder: pathlib.Path, name: str) -> None:
        """Puts the files of a folder into `bucket`, below a name."""
        for path in folder.rglob("*"):
            if path.is_file():
                self._put(f"bucket/{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def download(self, name: str, folder: pathlib.Path) -> pathlib.Path:
        """Writes the objects below a name in `bucket` into a folder, and returns it."""
        for rest in self.names(f"{name}/"):
            if rest and not rest.endswith("/"):
                (folder / rest).parent.mkdir(parents=True, exist_ok=True)
                (folder / rest).write_bytes(self.read(f"{name}/{rest}"))
        return folder

    def answer(self, request: Request, body: bytes, range_header: str) -> tuple[int, bytes, dict[str, str]]:
        """Answers a request: the status, the body and the headers."""
        with self._lock:
            self.requests.append(request)
            status = self.fault(request)
            if status is None and request.key.split("/")[0] not in self.buckets:
                status = 404
            if status is not None:
                return status, b"refused by the test", {}
            for pattern, reply in (
                (r"/upload/storage/v1/b/[^/]+/o", self._upload),
                (r"/storage/v1/b/[^/]+/o/[^/]+/rewriteTo/b/([^/]+)/o/([^/]+)", self._rewrite),
                (r"/storage/v1/b/[^/]+/o/[^/]+", self._one),
                (r"/storage/v1/b/[^/]+/o", self._list),
                (r"/storage/v1/b/[^/]+(?:/storageLayout)?", self._bucket),
                (r"/[^/]+/.+", self._content),
            ):
                if found := re.fullmatch(pattern, request.path):
                    return reply(request, found, body, range_header)
            return 501, b"", {}

    def _put(self, key, data):
        with self._lock:
            self._generations[key] = self._generations.get(key, 0) + 1
            self.objects[key] = data

    def _upload(self, request, _found, body, content_range):
        key = request.key
        if request.method == "POST" and request.query.get("uploadType") == "resumable":
            bucket, name = key.split("/", 1)
            query = urllib.parse.urlencode({"uploadType": "session", "name": name})
            return 200, b"", {"Location": f"https://{HOSTS[0]}/upload/storage/v1/b/{bucket}/o?{query}"}
        if request.query.get("ifGenerationMatch") == "0" and key in self.objects:
            return 412, b"", {}
        self._put(key, body)
        return _as_json({"name": key.split("/", 1)[1]})

    def _rewrite(self, request, found, _body, _range):
        target = f"{found[1]}/{urllib.parse.unquote(found[2])}"
        if request.key not in self.objects:
            return 404, b"", {}
        self._put(target, self.objects[request.key])
        return _as_json({"done": True})

    def _one(self, request, _found, _body, _range):
        if request.key not in self.objects:
            return 404, b"", {}
        if request.method == "DELETE":
            del self.objects[request.key]
            return 204, b"", {}
        size, generation = len(self.objects[request.key]), self._generations[request.key]
        return _as_json({"size": str(size), "generation": str(generation), "updated": STAMP})

    def _list(self, request, _found, _body, _range):
        prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter")
        start = f"{request.key}/{prefix}"
        items, prefixes = [], []
        for key in sorted(key for key in self.objects if key.startswith(start)):
            first, found, _ = key[len(start) :].partition(delimiter) if delimiter else (key[len(start) :], "", "")
            if not found:
                items.append({"name": prefix + first})
            elif prefix + first + found not in prefixes:
                prefixes.append(prefix + first + found)
        return _as_json({"items": items[: int(request.query.get("maxResults", 10**6))], "prefixes": prefixes})

    def _bucket(self, request, _found, _body, _range):
        return _as_json({"name": request.key, "location": "US", "hierarchicalNamespace": {"enabled": False}})

    def _content(self, request, _found, _body, wanted):
        if request.key not in self.objects:
            return 404, b"", {}
        data = self.objects[request.key]
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
            status, body, headers = gcs.answer(
                _request(self.command, self.path), self._body(), self.headers.get("Range", "")
            )
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


@contextlib.contextmanager
def serve(folder: pathlib.Path) -> Iterator[FakeGcs]:
    """Answers on a port of this machine inside a `with` block.

    Args:
        folder: a folder for the certificate.
    """
    gcs, authority = FakeGcs(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*HOSTS).configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(gcs, context)) as server:
        gcs.environment = {
            "https_proxy": f"http://127.0.0.1:{server.server_port}",
            "CURL_CA_BUNDLE": str(folder / "authority.pem"),
            "GOOGLE_AUTH_TOKEN_FOR_TESTING": "token",
            "NO_GCE_CHECK": "true",
        }
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield gcs
        finally:
            server.shutdown()
