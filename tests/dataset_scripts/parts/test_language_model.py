"""Endpoints that stumble, endpoints that refuse, a local model, and answers that are kept."""

import json
import re

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from hf_medreport.dataset_scripts.parts.language_model import AnswerCache, Endpoint, LocalModel, NoAnswer
from hf_medreport.processing.input_error import InputError
from tests.dataset_scripts.chat_server import chat_server, completion
from tests.tiny import tiny_tokenizer


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def ask(answer, **options):
    """What an endpoint that answers so is made of: the text, the waits, the requests."""
    waits = []
    with chat_server(answer) as server:
        text = Endpoint(server.url, "small", sleep=waits.append, **options).ask("Be brief.", "Report: tumor")
    return text, waits, server.requests


def test_one_question_is_one_request(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    text, waits, requests = ask(lambda number, report: f"{report}, 2 cm", max_new_tokens=9)
    assert (text, waits) == ("tumor, 2 cm", []) and len(requests) == 1
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Report: tumor"}]
    assert requests[0]["path"] == "/v1/chat/completions"
    assert requests[0]["body"] == {"model": "small", "messages": messages, "temperature": 0, "max_tokens": 9}
    assert requests[0]["headers"]["Authorization"] == "Bearer secret"


def test_no_key_no_header():
    assert "Authorization" not in ask(lambda number, report: "fine")[2][0]["headers"]


def test_a_redirect_does_not_see_the_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    from http.server import BaseHTTPRequestHandler

    seen = []
    monkeypatch.setattr(BaseHTTPRequestHandler, "parse_request", _recorded(BaseHTTPRequestHandler.parse_request, seen))
    with pytest.raises(NoAnswer):
        ask(lambda number, report: (302, b""))
    assert [key for path, key in seen if path == "/elsewhere"] == [None] * 6


def _recorded(original, seen):
    def parse_request(self):
        parsed = original(self)
        seen.append((self.path, self.headers.get("Authorization")))
        return parsed

    return parse_request


STUMBLES = {
    "too many requests": ((429, b""), [7.0]),  # the fake says Retry-After: 7
    "overloaded": ((503, b"busy"), [1.0]),
    "no JSON": ((200, b"<html>"), [1.0]),
    "half a JSON": ((200, completion("fine")[:20]), [1.0]),
    "another protocol": ((200, b'{"text": "fine"}'), [1.0]),
    "no text": ((200, completion(None)), [1.0]),
}


@pytest.mark.parametrize(("first", "waits"), STUMBLES.values(), ids=STUMBLES)
def test_what_passes_by_itself_is_tried_again(first, waits):
    text, waited, requests = ask(lambda number, report: first if number == 1 else "fine")
    assert (text, waited, len(requests)) == ("fine", waits, 2)


def test_a_hanging_attempt_is_given_up():
    text, waits, requests = ask(lambda number, report: None if number == 1 else "fine", timeout_s=0.2)
    assert (text, waits, len(requests)) == ("fine", [1.0], 2)


NO_ANSWERS = {
    "always overloaded": ((500, b""), "status 500, 6 times"),
    "never JSON": ((200, b"{"), "an answer that is no chat completion, 6 times"),
    "too long a report": (
        (400, b'{"error": {"message": "9000 tokens are too\\nmany for secret"}}'),
        "status 400 (9000 tokens are too many for ...)",
    ),
    "a cut answer": ((200, completion("Tumor of", "length")), "an answer cut at 512 tokens"),
}


@pytest.mark.parametrize(("answer", "message"), NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_what_one_text_is_left_without(monkeypatch, answer, message):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with pytest.raises(NoAnswer, match=f"^{re.escape(message)}$"):
        ask(lambda number, report: answer)


REFUSALS = {
    401: "url: found status 401; expected an answer; check OPENAI_API_KEY",
    403: "url: found status 403; expected an answer; check OPENAI_API_KEY",
    404: "url: found status 404; expected an answer; check `url` and `model`",
}


@pytest.mark.parametrize("status", REFUSALS)
def test_what_no_text_would_get_past_stops_at_once(status):
    with pytest.raises(InputError, match=f"^{re.escape(REFUSALS[status])}$"):
        ask(lambda number, report: (status, b""))


def test_nobody_listening_is_said():
    with chat_server(lambda number, report: "") as server:
        url = server.url
    waits = []
    with pytest.raises(InputError) as caught:
        Endpoint(url, "small", sleep=waits.append).ask("", "")
    address = url.removeprefix("http://").removesuffix("/v1")
    assert str(caught.value) == (
        f"url: found nobody listening at {address}; expected a running server; start it or check `url`"
    )
    assert waits == [1, 2, 4, 8, 16]


@pytest.mark.parametrize("url", ["localhost:8000", "file:///etc/passwd", ""])
def test_an_address_that_is_none(url):
    with pytest.raises(InputError) as caught:
        Endpoint(url, "small")
    expected = "an address like http://localhost:8000/v1; check it"
    assert str(caught.value) == f"url: found '{url}'; expected {expected}"


# --- the cache ---


class Echo:
    name = "echo"

    def __init__(self):
        self.asked = []

    def ask(self, system, user):
        self.asked.append(user)
        return user.upper()


def test_an_answer_is_asked_for_once(tmp_path):
    echo = Echo()
    assert [AnswerCache(echo, tmp_path).ask("s", "µ") for _ in range(2)] == ["Μ", "Μ"]
    assert echo.asked == ["µ"]
    for change in ({"system": "t", "user": "µ"}, {"system": "s", "user": "n"}):
        AnswerCache(echo, tmp_path).ask(**change)
    echo.name = "other"
    AnswerCache(echo, tmp_path).ask("s", "µ")
    assert echo.asked == ["µ", "µ", "n", "µ"]
    assert len(list(tmp_path.iterdir())) == 4


def test_a_damaged_answer_is_asked_for_again(tmp_path):
    echo = Echo()
    AnswerCache(echo, tmp_path).ask("s", "u")
    (path,) = tmp_path.iterdir()
    for damage in (b"", b'{"answer"', b"[1]", b"\xff"):
        path.write_bytes(damage)
        assert AnswerCache(echo, tmp_path).ask("s", "u") == "U"
    assert echo.asked == ["u"] * 5 and json.loads(path.read_text())["answer"] == "U"


# --- a local model ---


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    """A random model of one layer that ends at the first letter that it repeats."""
    folder, tokenizer = tmp_path_factory.mktemp("llm") / "tiny", tiny_tokenizer()
    torch.manual_seed(0)
    sizes = {"vocab_size": len(tokenizer), "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}
    model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)).eval()
    written = model.generate(**tokenizer("Be brief.\ntumor\n", return_tensors="pt"), max_new_tokens=8, do_sample=False)
    model.generation_config.eos_token_id = [0, written[0, -4].item()]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_local_model_answers_the_same_each_time(gpt2):
    first, second = LocalModel(gpt2, 8), LocalModel(gpt2, 8)
    answers = {model.ask("Be brief.", "tumor") for model in (first, second)}
    assert len(answers) == 1 and "tumor" not in answers.pop()
    assert first.name == second.name and re.fullmatch("tiny@[0-9a-f]{12}", first.name)


def test_a_local_answer_that_is_cut_is_none(gpt2, tmp_path):
    model = GPT2LMHeadModel.from_pretrained(gpt2)
    model.generation_config.eos_token_id = 0  # which it never writes
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(NoAnswer, match="^an answer cut at 8 tokens$"):
        LocalModel(tmp_path, 8).ask("Be brief.", "tumor")


def test_a_chat_template_is_used_where_there_is_one(gpt2, tmp_path):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ messages[0].content + '\\n' + messages[1].content + 'or\\n' }}"
    GPT2LMHeadModel.from_pretrained(gpt2).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with_template, without = LocalModel(tmp_path, 8), LocalModel(gpt2, 8)
    assert with_template.ask("Be brief.", "tum") == without.ask("Be brief.", "tumor")
    assert with_template.name != without.name


def test_a_report_too_long_for_the_model_is_left_out(gpt2):
    with pytest.raises(NoAnswer, match="^103 tokens asked and 8 to answer, and the model holds 64$"):
        LocalModel(gpt2, 8).ask("", "x" * 101)


def test_folders_without_a_model_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as missing:
        LocalModel(tmp_path / "gone")
    with pytest.raises(InputError) as empty:
        LocalModel(tmp_path / "empty")
    expected = "a folder with a causal language model"
    assert str(missing.value) == (
        f"folder: found no folder gone; expected {expected}; check the path, or use an `Endpoint`"
    )
    assert str(empty.value) == f"folder: found empty, which does not load; expected {expected}; check its files"
