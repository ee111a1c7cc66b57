"""A chat endpoint on this machine that answers as a test says: with text, or with what goes wrong with endpoints."""

import json
import threading
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def completion(text, finish_reason="stop") -> bytes:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice]}).encode()


@contextmanager
def chat_server(answer: Callable[[int, str], tuple[int, bytes] | str | None]):
    """Serve `answer(number of the request, report asked for)`: text, (status, body), or None to hang till the end.

    Yields the server, with `url` and `requests`, the headers and bodies that came.
    """
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.server.requests.append({"path": self.path, "headers": dict(self.headers), "body": body})
            report = body["messages"][1]["content"].rpartition("Report:")[2].strip()
            answered = answer(len(self.server.requests), report)
            if answered is None:
                done.wait(10)
                return
            status, content = (200, completion(answered)) if isinstance(answered, str) else answered
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            if status in (302, 429):
                self.send_header("Location" if status == 302 else "Retry-After", "/elsewhere" if status == 302 else "7")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.url = [], f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        done.set()
        server.shutdown()
        server.server_close()
        thread.join()
