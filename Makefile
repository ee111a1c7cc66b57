# Every target sets up what it needs: one virtual environment, made once and again when the requirements change.
VENV ?= .venv
PYTHON = $(VENV)/bin/python
READY = $(VENV)/ready
export HF_HUB_OFFLINE = 1

.PHONY: report rlhf test test-slow test-gpu test-browser coverage lint types docs pictures bench campaign wheel sync-checkpoints lock compat

report: $(READY)  ## reports on drawn films, pairs and slides and on a real film, and four drawn pictures, in reports/
	$(PYTHON) examples/report_two_films.py --out reports --overwrite
	$(PYTHON) examples/report_pair.py --out reports --overwrite
	$(PYTHON) examples/report_labels.py --out reports --overwrite
	$(PYTHON) examples/report_slide.py --out reports --overwrite
	$(PYTHON) examples/draw_four.py --out reports --overwrite

rlhf: $(READY)  ## the shipped generator learns from simulated raters, in runs/rlhf/: its table, before and after
	$(VENV)/bin/hf-medreport rlhf --config examples/rlhf_phantom.yaml --overwrite

test: $(READY)
	$(PYTHON) -m pytest -n auto --dist worksteal --durations=10 $(TESTS)

test-slow: $(READY)
	$(PYTHON) -m pytest -m slow

test-gpu: $(READY)  ## half precision, device maps and tiling on a GPU; skipped in one line where there is none
	$(PYTHON) -m pytest -m gpu -rs tests/gpu

test-browser: $(READY)  ## the pages, in a real browser
	$(PYTHON) -m pytest -m browser -rs tests/browser

coverage: $(READY)  ## how much of each file the tests that mirror it run; TESTS=tests/evaluation/text for one room
	$(PYTHON) .ci/mirrors.py $(TESTS)

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(READY)  ## the public modules, by mypy
	$(PYTHON) -m mypy

docs: $(READY)  ## the pages of docs/ as HTML in build/docs/
	$(PYTHON) -m sphinx -q -W --keep-going docs build/docs

pictures: report  ## the pictures of README.md and docs/, in examples/pictures/
	cp reports/phantom_film_report.png examples/pictures/
	cp reports/pairs/phantom_pair_report.png examples/pictures/
	cp reports/labels_own/phantom_labels_report.png examples/pictures/phantom_label_report.png
	cp reports/slides/*_report.png examples/pictures/phantom_slide_report.png
	cp reports/drawn_four/contact_sheet.png examples/pictures/diffusion_four.png
	$(PYTHON) examples/phantom_sheet.py --out examples/pictures/phantom_sheet.png
	$(PYTHON) examples/phantom_slide_sheet.py --out examples/pictures/phantom_slide_sheet.png
	$(PYTHON) examples/phantom_pictures_sheet.py --out examples/pictures/phantom_pictures_sheet.png
	$(PYTHON) examples/metric_divergence.py --out examples/pictures/metric_divergence.png \
	    --json benchmarks/results/metric_divergence.json
	$(PYTHON) benchmarks/experiments/ablation.py summarize

bench: $(READY)  ## the figures of docs/results.md, as JSON in benchmarks/results/
	$(PYTHON) benchmarks/speed/decoder.py
	$(PYTHON) benchmarks/speed/report.py
	$(PYTHON) benchmarks/speed/phantom.py
	$(PYTHON) benchmarks/speed/text_metrics.py
	$(PYTHON) benchmarks/speed/evaluate_reports.py
	$(PYTHON) benchmarks/speed/histgen.py
	$(PYTHON) benchmarks/speed/tiling.py
	$(PYTHON) benchmarks/speed/cxr_multitask.py
	$(PYTHON) benchmarks/speed/radscribe.py
	$(PYTHON) benchmarks/speed/precision.py
	$(PYTHON) benchmarks/speed/flat_memory.py

campaign: $(READY)  ## hours of hostile use, on from where it stopped; JSON in benchmarks/results/campaign/
	$(PYTHON) benchmarks/campaign/malformed.py
	$(PYTHON) benchmarks/campaign/full_disk.py
	$(PYTHON) benchmarks/campaign/writers.py
	$(PYTHON) benchmarks/campaign/planted.py
	$(PYTHON) benchmarks/campaign/kills.py
	$(PYTHON) benchmarks/campaign/mutate.py
	$(PYTHON) benchmarks/campaign/page.py

wheel: $(READY)  ## build the wheel and use it from another folder, without the source
	sh .ci/wheel $(VENV)

sync-checkpoints: $(READY)  ## renew the code copies in the shipped checkpoints
	$(PYTHON) -m hf_medreport.hub.sync_checkpoints

lock:  ## write constraints/: the newest versions, once all tests passed with them, and the floors
	.ci/lock
	$(MAKE) sync-checkpoints

compat: $(READY)  ## our tests on the lowest, the tested and the newest libraries: constraints/compat.json
	$(PYTHON) .ci/compat.py

$(READY): setup.py pyproject.toml constraints/tested.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --upgrade pip
	$(VENV)/bin/pip install -qq --constraint constraints/tested.txt --editable ".[dev]"
	touch $(READY)
