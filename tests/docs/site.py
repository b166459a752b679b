"""The site as the tests build it, and a server that shows it to a browser until its pages are drawn."""

import contextlib
import functools
import http.server
import json
import logging
import threading

import mkdocs.config
from mkdocs.commands.build import build
from mkdocs.structure.files import File

from tests.chromium import dumped_page
from tests.conftest import ROOT

# One page more than readers get, with an equation, a diagram and a source.
DRAWN = ROOT / "tests" / "docs" / "drawn.txt"


def build_site(folder):
    """Builds the site as `make docs` does; a warning is an error."""
    config = mkdocs.config.load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder))
    assert config.strict
    config.nav.append({"Drawn": "drawn.md"})

    def with_drawn(files, config):
        files.append(File.generated(config, "drawn.md", content=DRAWN.read_text()))
        return files

    config.plugins._register_event("files", with_drawn)
    logging.getLogger("mkdocs").setLevel(logging.WARNING)
    build(config)
    return folder


# A picture that the server holds back until the page asks for it to be let go, and with it the end of loading.
PROBE = """<img src="/held" alt=""><script>
(async () => {
  const end = Date.now() + 60000;
  while (!(%s) && Date.now() < end) await new Promise((done) => setTimeout(done, 50));
  await fetch("/released");
})();
</script></body>"""


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the site, with the probe in the page that was asked for."""

    def __init__(self, *arguments, released, condition, **options):
        self._released, self._condition = released, condition
        super().__init__(*arguments, **options)

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/held":
            self._released.wait(90)
            self._send(b"GIF89a", "image/gif")
        elif path == "/released":
            self._released.set()
            self._send(b"", "text/plain")
        elif path.endswith(".html"):
            with open(self.translate_path(path)) as file:
                page = file.read().replace("</body>", PROBE % self._condition)
            self._send(page.encode(), "text/html; charset=utf-8")
        else:
            super().do_GET()

    def _send(self, content, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        """Prints nothing."""


@contextlib.contextmanager
def served(site, condition):
    """Serves the site; a page has loaded once a condition in JavaScript holds."""
    handler = functools.partial(_Handler, released=threading.Event(), condition=condition, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def browsed(site, page, condition, folder):
    """Opens a page in Chromium; returns its HTML once a condition holds, and every address that it asked for."""
    log = folder / "net.json"
    with served(site, condition) as address:
        # The browser itself asks hosts too. It finds none.
        rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        html = dumped_page(f"{address}/{page}", folder / "profile", rules, f"--log-net-log={log}")
        return html, [url.removeprefix(address) for url in _asked_for(json.loads(log.read_text()), address)]


def _asked_for(log, address):
    """Returns the addresses that pages of a site asked for, from Chromium's log of the network."""
    (start,) = (number for name, number in log["constants"]["logEventTypes"].items() if name == "URL_REQUEST_START_JOB")
    requests = [event.get("params", {}) for event in log["events"] if event["type"] == start]
    return [request["url"] for request in requests if request.get("initiator") == address]
