"""A server on this machine with as much of the hub's interface as push and pull use.

Repositories are held in memory: each a list of commits, each commit all files that it has.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "stand-in"  # who sends it may write


class Hub:
    """The repositories of one server."""

    def __init__(self) -> None:
        self.commits: dict[str, dict[str, dict[str, bytes]]] = {}  # repo -> commit -> files
        self.private: dict[str, bool] = {}
        self.asked: set[str] = set()  # files that were asked for
        self.url = ""

    def commit(self, repo: str, files: dict[str, bytes]) -> str:
        """Add files to the newest commit of a repository; return the name of the new one."""
        commits = self.commits.setdefault(repo, {})
        whole = {**(list(commits.values())[-1] if commits else {}), **files}
        name = hashlib.sha1(f"{len(commits)}{sorted(whole.items())}".encode()).hexdigest()
        commits[name] = whole
        return name

    def files(self, repo: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Return name and files of a commit; None where there is none."""
        commits = self.commits[repo]
        name = list(commits)[-1] if revision == "main" else revision
        return (name, commits[name]) if name in commits else None


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Run a server while the block runs."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Make a repository, look at files that are to come, or take a commit."""
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts[1] == "validate-yaml":
            fine = b"pipeline_tag: robotics" in data  # as much YAML as it understands
            faults = [] if fine else [{"message": "no metadata"}]
            return self._json({"errors": faults, "warnings": []}, 200 if fine else 400)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._json({"error": "who are you"}, 401)
        if parts[1:] == ["repos", "create"]:
            asked = json.loads(data)
            repo = "/".join(filter(None, (asked.get("organization") or "me", asked["name"])))
            if repo in self.hub.commits:
                return self._json({"error": "there already", "url": self._url(repo)}, 409)
            self.hub.private[repo] = asked.get("visibility") == "private"
            self.hub.commit(repo, {".gitattributes": b"*.safetensors filter=lfs\n"})
            return self._json({"url": self._url(repo)})
        repo = "/".join(parts[2:4])
        if parts[4] == "preupload":
            named = [one["path"] for one in json.loads(data)["files"]]
            modes = [
                {"path": n, "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for n in named
            ]
            return self._json({"files": modes})
        lines = [json.loads(line) for line in data.splitlines()]
        values = [line["value"] for line in lines if line["key"] == "file"]
        name = self.hub.commit(repo, {v["path"]: base64.b64decode(v["content"]) for v in values})
        return self._json({"commitOid": name, "commitUrl": f"{self._url(repo)}/commit/{name}"})

    def do_HEAD(self) -> None:
        """Say what a GET would bring."""
        self.do_GET()

    def do_GET(self) -> None:
        """Describe a commit, or bring a file of it."""
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        is_api = parts[0] == "api"
        repo = "/".join(parts[2:4] if is_api else parts[:2])
        if repo not in self.hub.commits:
            return self._json({"error": "no"}, 404, "RepoNotFound")
        revision = (parts[5] if len(parts) > 5 else "main") if is_api else parts[3]
        found = self.hub.files(repo, revision)
        if found is None:
            return self._json({"error": "no"}, 404, "RevisionNotFound")
        name, files = found
        if is_api:
            siblings = [{"rfilename": n, "size": len(d), "blobId": n} for n, d in files.items()]
            return self._json({"id": repo, "sha": name, "siblings": siblings})
        file = "/".join(parts[4:])
        self.hub.asked.add(file)
        if file not in files:
            return self._json({"error": "no"}, 404, "EntryNotFound")
        etag = f'"{hashlib.sha1(files[file]).hexdigest()}"'
        return self._send(files[file], 200, {"ETag": etag, "X-Repo-Commit": name})

    def _url(self, repo: str) -> str:
        return f"{self.hub.url}/{repo}"

    def _json(self, data, code: int = 200, error: str = "") -> None:
        self._send(json.dumps(data).encode(), code, {"X-Error-Code": error} if error else {})

    def _send(self, data: bytes, code: int, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
