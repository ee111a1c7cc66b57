"""Fresh processes that have imported transformers and nothing of ours, without waiting for the import each time.

One interpreter imports it, which takes seconds, and forks for every piece of code:

    with FreshProcesses() as fresh:
        assert fresh.run("import sys; assert 'hf_medreport' not in sys.modules").returncode == 0
"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

SERVER = """
import json, os, sys, traceback
import torch
from transformers import AutoModel, AutoProcessor, AutoTokenizer, Seq2SeqTrainer, pipeline

for line in sys.stdin:
    folder, code = json.loads(line)
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    for number, name in enumerate((os.devnull, folder + "/stdout", folder + "/stderr")):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), number)
    status = 0
    try:
        exec(compile(code, "<fresh>", "exec"), {"__name__": "__main__"})
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(status)
"""


class FreshProcesses:
    """Runs code in processes that know nothing of one another, in `/`, with standard input empty.

    Args:
        env: the environment of all of them; default: ours.
    """

    def __init__(self, env: dict | None = None):
        self.env, self.server = env, None

    def __enter__(self) -> "FreshProcesses":
        return self

    def __exit__(self, *exc) -> None:
        if self.server:
            os.killpg(self.server.pid, signal.SIGKILL)
            self.server.communicate()
            self.server = None

    def run(self, code: str, timeout: float = 120) -> subprocess.CompletedProcess:
        """Like `subprocess.run` of an interpreter with this code, its output captured as text."""
        if self.server is None:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            command = [sys.executable, "-P", "-c", SERVER]
            self.server = subprocess.Popen(command, **pipes, cwd="/", env=self.env, start_new_session=True)
        with tempfile.TemporaryDirectory() as folder:
            self.server.stdin.write(json.dumps([folder, code]) + "\n")
            self.server.stdin.flush()
            if not select.select([self.server.stdout], [], [], timeout)[0]:
                self.__exit__()
                raise subprocess.TimeoutExpired(code, timeout)
            status = int(self.server.stdout.readline())
            outputs = [(Path(folder) / name).read_text() for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess(code, status, *outputs)
