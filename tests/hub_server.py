"""A small Hugging Face Hub on loopback, enough for the real `huggingface_hub` and `transformers` clients.

Repositories of models and of Spaces, in one list: create, refs, branches, preupload, LFS (basic transfer), commit,
tree, resolve. All of it lives in memory. It answers as the Hub does where the client looks (status codes,
`X-Error-Code`, `X-Repo-Commit`, `ETag`, `X-Linked-*`) and refuses a commit that names an LFS object nobody uploaded, so
a half-made upload cannot pass unseen.

    with HubServer() as hub:
        hub.break_lfs(after=1)  # the second LFS upload, and every later one, breaks off in the middle
        run_client(hub, "from huggingface_hub import HfApi; print(HfApi().whoami()['name'])")
"""

import base64
import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

USER, ORGS, TOKEN = "tester", {"tester", "org"}, "dummy"
POINTER_BYTES = 134  # what a Git LFS pointer file weighs; the client only carries it along


@dataclass(frozen=True)
class Blob:
    """One version of one file."""

    data: bytes
    lfs: bool = False

    @property
    def oid(self) -> str:
        """SHA-256 of an LFS file, git's SHA-1 of a regular one: what the Hub gives as ETag."""
        if self.lfs:
            return hashlib.sha256(self.data).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()


@dataclass
class Repo:
    """Branches point to commits, a commit is a whole tree: {path: Blob}."""

    private: bool
    commits: dict[str, dict[str, Blob]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, Blob]) -> str:
        sha = hashlib.sha1(f"{len(self.commits)} {branch} {sorted(files)}".encode()).hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        return sha


class Refused(Exception):
    """An answer other than 200: status, X-Error-Code and message."""

    def __init__(self, status: int, message: str, code: str | None = None, **body):
        super().__init__(message)
        self.status, self.message, self.code, self.body = status, message, code, body


class HubServer:
    """The server as a context manager; the tests read `repos`, `lfs`, `requests` and set the faults.

    Attributes:
        repos: {"org/name": Repo}; lfs: {sha256: bytes}; requests: [(method, path)] in the order of arrival.
        commit_fault: None, "500", "drop" (it breaks before the commit is made) or "lost" (it is made, the answer lost).
        faulted: set when a fault has struck, so that a test can wait for it.
    """

    def __init__(self):
        self.repos: dict[str, Repo] = {}
        self.lfs: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.lock = threading.Lock()
        self.faulted, self.healed = threading.Event(), threading.Event()
        self.heal()

    def heal(self) -> None:
        """End all faults."""
        self.lfs_fault, self.fault_after, self.commit_fault = None, 0, None
        self.healed.set()

    def break_lfs(self, after: int, how: str = "drop") -> None:
        """Accept `after` more LFS uploads; each one after them is dropped or stalls half-way until `heal`."""
        self.lfs_fault, self.fault_after = how, after
        self.faulted.clear()
        self.healed.clear()

    def __enter__(self) -> "HubServer":
        handler = type("Handler", (_Handler,), {"hub": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc) -> None:
        self.heal()
        self._http.shutdown()
        self._http.server_close()

    def create(self, repo_id: str, private: bool = False) -> Repo:
        """A new repository with the one file that the Hub puts there itself."""
        repo = self.repos[repo_id] = Repo(private)
        repo.commit("main", {".gitattributes": Blob(b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n")})
        return repo

    def files(self, repo_id: str, branch: str = "main") -> dict[str, bytes]:
        """What a branch holds now, without the Hub's own .gitattributes."""
        repo = self.repos[repo_id]
        tree = repo.commits[repo.branches[branch]]
        return {path: blob.data for path, blob in tree.items() if path != ".gitattributes"}


class _Handler(BaseHTTPRequestHandler):
    """Routes a request by the shape of its path; every answer carries its length, so connections stay open."""

    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *args) -> None:
        pass

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:  # the client was killed, or we broke the connection off
            self.close_connection = True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        self.parts = [unquote(part) for part in url.path.strip("/").split("/")]  # a branch a%2Fb is one part
        self.hub.requests.append((self.command, url.path))
        size = int(self.headers.get("Content-Length", 0))
        self.body = b"" if self.command == "PUT" else self.rfile.read(size)  # an upload is read where it may break off
        try:
            self.answer(200, self.route())
        except Refused as refused:
            headers = {"X-Error-Message": refused.message}
            if refused.code:
                headers["X-Error-Code"] = refused.code
            self.answer(refused.status, {"error": refused.message, **refused.body}, headers)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    # --- the answer ---

    def answer(self, status: int, body: dict | list | bytes, headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if isinstance(body, bytes) else "application/json")
        for name, value in (headers or getattr(self, "extra_headers", {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.extra_headers = {}

    def break_off(self) -> None:
        self.hub.faulted.set()
        with contextlib.suppress(OSError):  # the client may be gone already
            self.connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError

    # --- who asks, and for what ---

    def signed_in(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def must_be_signed_in(self) -> None:
        if not self.signed_in():
            raise Refused(401, "Invalid credentials in Authorization header")

    def repo(self, repo_id: str) -> Repo:
        repo = self.hub.repos.get(repo_id)
        if repo is None or (repo.private and not self.signed_in()):
            raise Refused(404 if self.signed_in() else 401, "Repository not found", "RepoNotFound")
        return repo

    def tree(self, repo: Repo, revision: str) -> tuple[str, dict[str, Blob]]:
        sha = repo.branches.get(revision, revision)
        if sha not in repo.commits:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return sha, repo.commits[sha]

    def route(self) -> dict | list | bytes:
        match self.command, *self.parts:
            case "GET", "api", "whoami-v2":
                self.must_be_signed_in()
                return {"name": USER, "type": "user", "orgs": [{"name": name} for name in sorted(ORGS - {USER})]}
            case "POST", "api", "repos", "create":
                return self.create_repo(json.loads(self.body))
            case "POST", "api", "validate-yaml":
                return self.validate_yaml(json.loads(self.body)["content"])
            case ("POST", org, git, "info", "lfs", "objects", "batch") | (
                "POST", "spaces", org, git, "info", "lfs", "objects", "batch",
            ) if git.endswith(".git"):  # fmt: skip
                return self.lfs_batch(f"{org}/{git.removesuffix('.git')}", json.loads(self.body))
            case "PUT", "lfs", oid:
                return self.lfs_upload(oid)
            case "POST", "lfs", oid, "verify":
                if oid not in self.hub.lfs:
                    raise Refused(404, "no such object")
                return {}
            case (("GET" | "HEAD"), org, name, "resolve", revision, *path):
                return self.resolve(self.repo(f"{org}/{name}"), revision, "/".join(path))
            case method, "api", "models" | "spaces", org, name, *rest:
                with self.hub.lock:
                    return self.model_api(method, f"{org}/{name}", self.repo(f"{org}/{name}"), rest)
        raise Refused(404, f"no such address: {self.path}")

    def model_api(self, method: str, repo_id: str, repo: Repo, rest: list[str]) -> dict | list:
        if method in ("POST", "DELETE") and rest[0] != "paths-info":
            self.must_be_signed_in()
        match method, *rest:
            case ("GET",) | ("GET", "revision", _):
                sha, tree = self.tree(repo, rest[1] if rest else "main")
                siblings = [{"rfilename": path} for path in sorted(tree)]
                return {"id": repo_id, "sha": sha, "private": repo.private, "tags": [], "siblings": siblings}
            case "GET", "refs":
                refs = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": sha} for n, sha in repo.branches.items()]
                return {"branches": refs, "converts": [], "tags": []}
            case "POST", "branch", branch:
                start = json.loads(self.body or b"{}").get("startingPoint", "main")
                if branch.startswith("refs/"):
                    raise Refused(400, f"Invalid reference for a branch: {branch}")
                if branch in repo.branches:
                    raise Refused(409, "Reference already exists")
                repo.branches[branch] = self.tree(repo, start)[0]
                return {}
            case "DELETE", "branch", branch:
                del repo.branches[branch]
                return {}
            case "POST", "preupload", revision:
                return self.preupload(self.tree(repo, revision)[1], json.loads(self.body))
            case "POST", "commit", branch:
                return self.commit(repo_id, repo, branch, self.body)
            case "GET", "tree", revision, *path:
                return self.list_tree(*self.tree(repo, revision), "/".join(path))
            case "POST", "paths-info", revision:
                wanted = parse_qs(self.body.decode()).get("paths", [])
                tree = self.tree(repo, revision)[1]
                return [_entry(path, tree[path]) for path in wanted if path in tree]
        raise Refused(404, f"no such address: {self.path}")

    # --- writing ---

    def create_repo(self, wanted: dict) -> dict:
        self.must_be_signed_in()
        org = wanted.get("organization") or USER
        if org not in ORGS:
            raise Refused(403, f"You don't have the rights to create a model under the namespace {org}")
        repo_id = f"{org}/{wanted['name']}"
        url = f"{self.hub.url}/{repo_id}"
        with self.hub.lock:
            if repo_id in self.hub.repos:
                raise Refused(409, "You already created this model repo", url=url)
            self.hub.create(repo_id, private=wanted.get("visibility") == "private")
        return {"url": url, "name": repo_id}

    def validate_yaml(self, card: str) -> dict:
        """The front matter must be a YAML mapping."""
        try:
            metadata = yaml.safe_load(card.split("---")[1]) if card.startswith("---") else None
        except yaml.YAMLError:
            raise Refused(400, "Invalid YAML", errors=[{"message": "the metadata is not YAML"}], warnings=[]) from None
        missing = [] if isinstance(metadata, dict) else [{"message": "empty or missing yaml metadata in repo card"}]
        return {"errors": [], "warnings": missing}

    def preupload(self, tree: dict[str, Blob], wanted: dict) -> dict:
        """Which files go by LFS, which are there already, which a .gitignore (sent, else the repository's) hides."""
        ignored = wanted.get("gitIgnore") or tree.get(".gitignore", Blob(b"")).data.decode()
        answer = []
        for file in wanted["files"]:
            path = file["path"]
            hidden = any(fnmatch(path, pattern) for pattern in ignored.splitlines())
            oid = tree[path].oid if path in tree else None
            mode = "lfs" if path.endswith(".safetensors") or file["size"] > 10_000_000 else "regular"
            answer.append({"path": path, "uploadMode": mode, "shouldIgnore": hidden, "oid": oid})
        return {"files": answer}

    def lfs_batch(self, repo_id: str, wanted: dict) -> dict:
        self.must_be_signed_in()
        self.repo(repo_id)
        objects = []
        for thing in wanted["objects"]:
            href = f"{self.hub.url}/lfs/{thing['oid']}"
            actions = {"upload": {"href": href}, "verify": {"href": f"{href}/verify"}}
            objects.append({**thing, "actions": actions} if thing["oid"] not in self.hub.lfs else thing)
        return {"transfer": "basic", "objects": objects}

    def lfs_upload(self, oid: str) -> dict:
        hub, size = self.hub, int(self.headers["Content-Length"])
        with hub.lock:
            fault = hub.lfs_fault if hub.fault_after == 0 else None
            hub.fault_after = max(0, hub.fault_after - 1)
        if fault:
            self.rfile.read(size // 2)
            if fault == "stall":
                hub.faulted.set()
                hub.healed.wait(60)
            self.break_off()
        data = self.rfile.read(size)
        if hashlib.sha256(data).hexdigest() != oid:
            raise Refused(400, "content does not match its oid")
        hub.lfs[oid] = data
        return {}

    def commit(self, repo_id: str, repo: Repo, branch: str, ndjson: bytes) -> dict:
        """All or nothing: the branch moves only after every line was understood."""
        if self.hub.commit_fault == "500":
            raise Refused(500, "Internal Error")
        if self.hub.commit_fault == "drop":
            self.break_off()
        if branch not in repo.branches:
            raise Refused(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        tree = dict(repo.commits[repo.branches[branch]])
        for line in map(json.loads, ndjson.splitlines()):
            key, value = line["key"], line["value"]
            if key == "header" and value.get("parentCommit", repo.branches[branch]) != repo.branches[branch]:
                raise Refused(412, "A commit has happened since. Please refresh and try again.")
            if key == "file":
                tree[value["path"]] = Blob(base64.b64decode(value["content"]))
            elif key == "lfsFile":
                if value["oid"] not in self.hub.lfs:
                    raise Refused(400, f"LFS pointer pointed to a file that does not exist: {value['path']}")
                tree[value["path"]] = Blob(self.hub.lfs[value["oid"]], lfs=True)
            elif key == "deletedFile":
                del tree[value["path"]]
        sha = repo.commit(branch, tree)
        if self.hub.commit_fault == "lost":
            self.break_off()
        return {"success": True, "commitOid": sha, "commitUrl": f"{self.hub.url}/{repo_id}/commit/{sha}"}

    # --- reading ---

    def list_tree(self, sha: str, tree: dict[str, Blob], folder: str) -> list:
        prefix = f"{folder}/" if folder else ""
        inside = {path: blob for path, blob in tree.items() if path.startswith(prefix)}
        if not inside:
            raise Refused(404, f"{folder} does not exist on {sha}", "EntryNotFound")
        deep = self.query.get("recursive", "").lower() == "true"
        return [_entry(path, blob) for path, blob in sorted(inside.items()) if deep or "/" not in path[len(prefix) :]]

    def resolve(self, repo: Repo, revision: str, path: str) -> bytes:
        sha, tree = self.tree(repo, revision)
        self.extra_headers = {"X-Repo-Commit": sha}
        if path not in tree:
            raise Refused(404, "Entry not found", "EntryNotFound")
        blob = tree[path]
        self.extra_headers["ETag"] = f'"{blob.oid}"'
        if blob.lfs:
            self.extra_headers |= {"X-Linked-ETag": f'"{blob.oid}"', "X-Linked-Size": str(len(blob.data))}
        return blob.data


def _entry(path: str, blob: Blob) -> dict:
    entry = {"type": "file", "path": path, "size": len(blob.data), "oid": blob.oid}
    if blob.lfs:
        entry["lfs"] = {"oid": blob.oid, "size": len(blob.data), "pointerSize": POINTER_BYTES}
    return entry


HIDE_PACKAGE = """
import sys
class _Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "hf_medreport":
            raise ImportError("hf_medreport is hidden from this process")
sys.meta_path.insert(0, _Hidden())
"""


def client_command(hub: HubServer, code: str, *, hide_package: bool = False, **env: str) -> dict:
    """The arguments for `subprocess.run` or `Popen`: a fresh interpreter whose Hub is `hub`.

    Args:
        code: python source; its stdout is the test's to read.
        hide_package: whether `import hf_medreport` fails there, as on a machine that never installed it.
        env: more environment variables; HF_HOME (the cache) should be a folder of the test's own.
    """
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_")) and "proxy" not in k.lower()
    }
    clean |= {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    clean |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "OMP_NUM_THREADS": "1", **env}
    source = (HIDE_PACKAGE if hide_package else "") + code
    return {"args": [sys.executable, "-P", "-c", source], "env": clean, "text": True}


def run_client(
    hub: HubServer, code: str, *, check: bool = True, timeout: float = 120, **options
) -> subprocess.CompletedProcess:
    """Run `code` in a clean interpreter against `hub` with an empty cache; options as in `client_command`.

    Raises AssertionError with the client's stderr when it fails and `check` is set.
    """
    with tempfile.TemporaryDirectory() as home:
        command = client_command(hub, code, **{"HF_HOME": home, **options})
        done = subprocess.run(**command, capture_output=True, timeout=timeout)
    assert done.returncode == 0 or not check, done.stderr
    return done
