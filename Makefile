# Two commands for a newcomer: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
LOCK := requirements/lock.txt
EXTRAS := pretrained,evaluate,emoji,onnx,hub,index,test
LOCKED := $(EXTRAS),buckets
comma := ,
BIN := $(VENV)/bin
TRAIN := $(BIN)/python -m jigsaw_shape.train --config configs/shapes.py
BRIEF := --config.epochs=5 --config.eval.every_epochs=5

.PHONY: demo test lint setup lock clean

demo: setup  ## train erm, puzzle and shape on the embedded data set, print one table
	$(TRAIN):erm --workdir runs/demo/erm $(BRIEF)
	$(TRAIN):puzzle --workdir runs/demo/puzzle $(BRIEF) \
	  --config.jigsaw.bias_whole_image=0.5 --config.jigsaw.encode=tiles \
	  --config.jigsaw.orders_per_image=8
	$(TRAIN):shape --workdir runs/demo/shape $(BRIEF)
	$(BIN)/python -m jigsaw_shape.report runs/demo
	@echo "Puzzles, and solved:   runs/demo/puzzle/puzzle.png"
	@echo "What the networks saw: runs/demo/*/preview.png"
	@echo "What they confuse:     runs/demo/*/confusion_val.png"

test: setup lint  ## lint, then every test
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/shellcheck -x launch/*.sh

setup: $(VENV)/.installed

$(VENV)/.installed: $(LOCK) pyproject.toml
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("jigsaw_shape needs Python >= 3.11; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 demo")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(LOCK) \
	  --editable ".[$(EXTRAS)]"
	touch $@

lock:  ## resolve the lock again, for every supported Python at once
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile pyproject.toml $(patsubst %,--extra %,$(subst $(comma), ,$(LOCKED))) \
	  --universal --python-version 3.11 --no-header --no-annotate --quiet -o $(LOCK)
	rm -r $(VENV)-lock

clean:
	rm -rf $(VENV) runs build *.egg-info
