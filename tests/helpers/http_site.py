"""A folder behind an address of this machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Silent(SimpleHTTPRequestHandler):
    """Answers without a line on the terminal."""

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def site_of(folder: Path, handler: type[Silent] = Silent) -> Iterator[str]:
    """The address at which the folder's files are served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
