"""A language model that the user names, asked one question at a time: an OpenAI-compatible endpoint or a local folder.

Answers are kept on disk by the hash of model, prompt and text, so that a killed run asks nothing twice. An endpoint is
spoken to over plain HTTP: the Hub's client would refuse it under HF_HUB_OFFLINE=1, and sends along the Hub's token.
"""

import hashlib
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from hf_medreport.files.writing import sha256, write_json
from hf_medreport.processing.input_error import InputError

__all__ = ["AnswerCache", "Endpoint", "LanguageModel", "LocalModel", "NoAnswer"]

KEY = "OPENAI_API_KEY"  # the only place that a key is taken from; it is sent, and never written or shown
ATTEMPTS = 6
LONGEST_WAIT_S = 60.0
WRONG_ADDRESS = {401: f"check {KEY}", 403: f"check {KEY}", 404: "check `url` and `model`"}


class NoAnswer(Exception):
    """One text that the model gave no usable answer to; the others can go on."""


class LanguageModel(Protocol):
    """`name` says which model it is, in the cache and the records."""

    name: str

    def ask(self, system: str, user: str) -> str:
        """The answer; NoAnswer where there is none."""


class Endpoint:
    """A chat endpoint that speaks OpenAI's protocol (vLLM, llama.cpp, Ollama, TGI, hosted services).

    Args:
        url: up to and with the version: `http://localhost:8000/v1`.
        model: as the endpoint calls it.
        max_new_tokens: of an answer.
        timeout_s: how long one attempt waits for a sign of the endpoint.
        sleep: waits so many seconds between attempts.

    Raises:
        InputError: `url` is no web address. `ask` raises it too, where no attempt can succeed: nobody listens, the
            key is refused, there is no such model.
    """

    def __init__(
        self,
        url: str,
        model: str,
        max_new_tokens: int = 512,
        timeout_s: float = 120.0,
        sleep: Callable[[float], None] = time.sleep,
    ):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError("url", f"'{url}'", "an address like http://localhost:8000/v1", "check it")
        self.url = url.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"
        self.name, self.max_new_tokens, self.timeout_s, self.sleep = model, max_new_tokens, timeout_s, sleep

    def ask(self, system: str, user: str) -> str:
        """One question; what may pass by itself (429, 5xx, a timeout, a broken answer) is tried again, ever later."""
        for attempt in range(1, ATTEMPTS + 1):
            wait = min(2.0 ** (attempt - 1), LONGEST_WAIT_S)
            try:
                return self._answer(self._post(system, user))
            except urllib.error.HTTPError as error:
                problem = f"status {error.code}"
                if error.code in WRONG_ADDRESS:
                    raise InputError("url", problem, "an answer", WRONG_ADDRESS[error.code]) from None
                if error.code not in (408, 409, 425, 429) and error.code < 500:
                    raise NoAnswer(problem + _reason(error)) from None  # such as a report longer than the model reads
                wait = _seconds(error.headers.get("Retry-After"), wait)
            except (OSError, HTTPException) as error:
                reason = getattr(error, "reason", error)
                problem = "no answer in time" if isinstance(reason, TimeoutError) else "no connection"
                if isinstance(reason, ConnectionRefusedError) and attempt == ATTEMPTS:
                    found = f"nobody listening at {urlsplit(self.url).netloc.rpartition('@')[2]}"
                    raise InputError("url", found, "a running server", "start it or check `url`") from None
            except ValueError:
                problem = "an answer that is no chat completion"
            if attempt < ATTEMPTS:
                self.sleep(wait)
        raise NoAnswer(f"{problem}, {ATTEMPTS} times")

    def _post(self, system: str, user: str) -> bytes:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        body = {"model": self.name, "messages": messages, "temperature": 0, "max_tokens": self.max_new_tokens}
        request = urllib.request.Request(self.url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        if key := os.environ.get(KEY):
            request.add_unredirected_header("Authorization", f"Bearer {key}")  # never to where a redirect leads
        with urllib.request.urlopen(request, timeout=self.timeout_s) as response:
            return response.read()

    def _answer(self, body: bytes) -> str:
        """The text of a completion; ValueError where it is none."""
        try:
            choice = json.loads(body)["choices"][0]
            text = choice["message"]["content"]
        except (LookupError, TypeError) as error:
            raise ValueError from error
        if not isinstance(text, str):
            raise ValueError
        if choice.get("finish_reason") == "length":
            raise NoAnswer(f"an answer cut at {self.max_new_tokens} tokens")
        return text


def _reason(error: urllib.error.HTTPError) -> str:
    """What the endpoint says of a question that it refuses, without the key."""
    try:
        message = str(json.loads(error.read())["error"]["message"])
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        return ""
    if key := os.environ.get(KEY):
        message = message.replace(key, "...")
    return f" ({' '.join(message.split())[:200]})"


def _seconds(header: str | None, otherwise: float) -> float:
    """Retry-After in seconds; a date in its place is passed over."""
    return min(float(header), LONGEST_WAIT_S) if header and header.isdecimal() else otherwise


class LocalModel:
    """A causal language model of transformers in a folder, with its chat template where it has one.

    Args:
        folder: as `save_pretrained` writes it.
        max_new_tokens: of an answer.

    Raises:
        InputError: no such folder, or no causal language model in it.
    """

    def __init__(self, folder: str | os.PathLike, max_new_tokens: int = 512):
        folder = Path(folder)
        expected = "a folder with a causal language model"
        if not folder.is_dir():
            raise InputError("folder", f"no folder {folder.name}", expected, "check the path, or use an `Endpoint`")
        from transformers import pipeline

        try:
            self.pipe = pipeline("text-generation", model=str(folder))
        except (OSError, ValueError, KeyError) as error:
            raise InputError("folder", f"{folder.name}, which does not load", expected, "check its files") from error
        self.name, self.max_new_tokens = f"{folder.resolve().name}@{_fingerprint(folder)[:12]}", max_new_tokens
        self.lock = threading.Lock()  # one question at a time, whoever asks

    def ask(self, system: str, user: str) -> str:
        """One question, decoded greedily."""
        tokenizer, config = self.pipe.tokenizer, self.pipe.model.config
        prompt = f"{system}\n{user}\n"
        if tokenizer.chat_template:
            messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
            prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        tokens = len(tokenizer(prompt, add_special_tokens=not tokenizer.chat_template)["input_ids"])
        most = getattr(config.get_text_config(), "max_position_embeddings", None)
        if most is not None and tokens + self.max_new_tokens > most:
            raise NoAnswer(f"{tokens} tokens asked and {self.max_new_tokens} to answer, and the model holds {most}")
        with self.lock:
            answer = self.pipe(
                prompt,
                do_sample=False,
                max_new_tokens=self.max_new_tokens,
                return_tensors=True,
                add_special_tokens=not tokenizer.chat_template,
            )
        ids = answer[0]["generated_token_ids"][tokens:]  # after those of the prompt
        ends = self.pipe.model.generation_config.eos_token_id
        if len(ids) == self.max_new_tokens and ids[-1] not in (ends if isinstance(ends, list) else [ends]):
            raise NoAnswer(f"an answer cut at {self.max_new_tokens} tokens")
        return tokenizer.decode(ids, skip_special_tokens=True)


def _fingerprint(folder: Path) -> str:
    """SHA-256 over the files of a model."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        digest.update(path.name.encode())
        digest.update(bytes.fromhex(sha256(path)))
    return digest.hexdigest()


class AnswerCache:
    """A model whose answers are kept in a folder, one small file each; a damaged one is asked for again."""

    def __init__(self, model: LanguageModel, folder: str | os.PathLike):
        self.model, self.name, self.folder = model, model.name, Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def ask(self, system: str, user: str) -> str:
        """The kept answer, or the model's."""
        question = json.dumps([self.name, system, user]).encode()
        path = self.folder / f"{sha256(question)}.json"
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["answer"])
        except (OSError, ValueError, LookupError, TypeError):
            answer = self.model.ask(system, user)
        write_json(path, {"model": self.name, "answer": answer}, indent=None, shared=True)
        return answer
