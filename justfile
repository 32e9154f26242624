# Every command of the course. `just` lists them; `./justw` is `just` for a machine without it.

# What the break page sets in front of a command: `seed=43 weight_decay=0.0 just phase-18-train`.
export seed := env("seed", "42")
export weight_decay := env("weight_decay", "0.1")
export out := env("out", "")
# What `plasticity-scale` hands on to `accelerate launch --config_file`.
export accelerate := env("accelerate", "")

root := justfile_directory()
export PATH := root / ".venv/bin:" + env("PATH")

# Says what is installed and where: an environment does not survive being moved.
stamp := sha256(sha256_file(root / "constraints.txt") + sha256_file(root / "pyproject.toml") + root)

[private]
default:
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" --list --unsorted

# Every recipe that runs Python depends on this one. It does nothing unless what it installs changed.
[private]
_install:
    @[ -x .venv/bin/python ] || ./justw --version > /dev/null
    @[ "$(cat .venv/.installed 2> /dev/null)" = "{{ stamp }}" ] || { \
        echo "Installing the pinned packages into .venv: first call, or constraints.txt or pyproject.toml changed; this takes minutes" \
        && python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[book,exercises,test,lint]" rust-just \
        && echo "{{ stamp }}" > .venv/.installed; }

# Train one run; `seed=`, `weight_decay=` and `out=` go in front, options behind
[group('break lab (phase 18)')]
[positional-arguments]
phase-18-train *rest: _install
    @python -m weightdecay train --seed "$seed" --weight-decay "$weight_decay" ${out:+--out "$out"} "$@"

# Compare runs in one dashboard; with no argument, train control and break first
[group('break lab (phase 18)')]
[positional-arguments]
phase-18-compare *runs: _install
    @python -m weightdecay compare "$@"

# Walk the diagnostic ladder: rungs 1 to 4 over two runs, rungs 5 to 8 over one
[group('break lab (phase 18)')]
[positional-arguments]
phase-18-diagnose *runs: _install
    @python -m weightdecay diagnose "$@"

# Train a run with one of five causes, sealed; killed, it goes on
[group('break lab (phase 18)')]
blind-run: _install
    @python -m weightdecay blind-run

# Tell what was wrong with a blind run: `just reveal blind-heron --guess mask`
[group('break lab (phase 18)')]
[positional-arguments]
reveal *rest: _install
    @python -m weightdecay reveal "$@"

# Remake the small results that the book quotes
[group('break lab (phase 18)')]
[positional-arguments]
phase-18-reference *rest: _install
    @python -m weightdecay reference "$@"

# Train a small version of the hysteresis scan, under 3 minutes, and print it beside the article's
[group('hysteresis')]
[positional-arguments]
hysteresis *rest: _install
    @python -m weightdecay hysteresis "$@"

# Train the full scan, the audit and the erasers, hours; killed, it goes on; --device cuda for a GPU
[group('hysteresis')]
[positional-arguments]
hysteresis-scan *rest: _install
    @python -m weightdecay hysteresis-scan "$@"

# Lay the outputs of the trained networks into a plane, t-SNE and PCA, and measure what is seen
[group('hysteresis')]
hysteresis-embedding: _install
    @python -m weightdecay.hysteresis.embedding

# Pretrain and fine-tune a small version of the plasticity experiment, under 5 minutes
[group('plasticity')]
[positional-arguments]
plasticity *rest: _install
    @python -m weightdecay plasticity "$@"

# Pretrain and fine-tune all of it, and the controls, hours; killed, it goes on
[group('plasticity')]
[positional-arguments]
plasticity-full *rest: _install
    @python -m weightdecay plasticity-full "$@"

# Pretrain a real model, or fine-tune it; `accelerate=FILE` in front says on which GPUs
[group('plasticity')]
[positional-arguments]
plasticity-scale *rest: _install
    @python -m accelerate.commands.accelerate_cli launch ${accelerate:+--config_file "$accelerate"} \
        -m weightdecay.plasticity.scale "$@"

# Train what is missing of a sweep, e.g. `just sweep experiments/dose-response`, and write its table
[group('experiments')]
[positional-arguments]
sweep *rest: _install
    @python -m weightdecay sweep "$@"

# Train the quick part of a sweep again and say whether it agrees with the committed results
[group('experiments')]
[positional-arguments]
reproduce *rest: _install
    @python -m weightdecay reproduce "$@"

# Check that every value and verdict in claims.yml follows from the results; --write updates them
[group('experiments')]
[positional-arguments]
claims *rest: _install
    @python -m weightdecay claims "$@"

# Print the corpus: every form, and which side of the split it is on
[group('break lab (phase 18)')]
corpus: _install
    @python -m weightdecay corpus

# Grade notebooks or a folder of submissions into _build/grades; what did not change is kept
[group('exercises')]
[positional-arguments]
grade *paths: _install
    @python -m weightdecay grade "$@"

# List the exercises with points and what is done
[group('exercises')]
exercises: _install
    @python -m weightdecay exercises

# Open an exercise in JupyterLab, e.g. `just exercise 02`
[group('exercises')]
[positional-arguments]
exercise number: _install
    @python -m jupyterlab exercises/"$1"-*/exercise.ipynb

# Check an exercise's notebook, e.g. `just check 02`, or another one: `just check 02 mine.ipynb`
[group('exercises')]
[no-exit-message]
[positional-arguments]
check *rest: _install
    @python -m weightdecay check "$@"

# Check an exercise again whenever its notebook is saved, e.g. `just watch 02`
[group('exercises')]
[positional-arguments]
watch *rest: _install
    @python -m weightdecay watch "$@"

# Show the next hint of an exercise, e.g. `just hint 02`
[group('exercises')]
[positional-arguments]
hint *rest: _install
    @python -m weightdecay hint "$@"

# Forget the progress of one exercise; with --notebook, write a fresh notebook, too
[group('exercises')]
[positional-arguments]
reset-exercise *rest: _install
    @python -m weightdecay reset-exercise "$@"

# Make the files of a new exercise, e.g. `just new-exercise tied-heads`
[group('exercises')]
[positional-arguments]
new-exercise *rest: _install
    @python -m weightdecay new-exercise "$@"

# Make the exercises' notebooks from their sources; with --check, fail where one differs
[group('exercises')]
[positional-arguments]
exercises-build *rest: _install
    @python -m weightdecay exercises-build "$@"

# Build the book into _build/html
[group('book')]
book: _install
    @# Called by name, not through its script, so that a moved checkout still works. After a failure
    @# every page is read again: one that Sphinx holds to be up to date does not repeat its warnings.
    @python -c 'from jupyter_book.cli.main import main; main()' build book -W --keep-going -n \
        || { rm -rf _build/.doctrees; exit 1; }
    @echo "The book: {{ root }}/_build/html/index.html"

# Print the book into one PDF, _build/weight-decay-measured.pdf; needs Chromium
[group('book')]
pdf: book
    @python tools/pdf.py

# Run the tests: fast, then slow and browser ones, then the solutions; with arguments, what they name
[group('checks')]
[positional-arguments]
test *args: _install
    #!/bin/sh
    set -eu
    # Two files at a time, each on one core: threads that wait for each other cost more than they bring.
    export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
    if [ $# -gt 0 ]; then exec python -m pytest "$@"; fi
    python -m pytest -n 2 --dist loadfile -m "not slow and not browser and not site"
    if command -v chromium > /dev/null; then
        python -m pytest -n 2 --dist loadfile -m "(slow or browser) and not site"
    else
        echo "No chromium on the PATH: the browser tests are LEFT OUT"
        python -m pytest -n 2 --dist loadfile -m "slow and not browser and not site"
    fi
    # The exercises' solutions, run again; printed text that is marked must be as committed.
    python -m pytest --nbval-lax --nbval-cell-timeout 120 -n 2 --dist loadfile exercises/*/solution.ipynb

# Build the book and test the site in a browser
[group('checks')]
test-site: book
    @python -m pytest -n 2 --dist loadfile -m site

# Check style and spelling
[group('checks')]
lint: _install
    python -m ruff check
    python -m ruff format --check
    python -m codespell_lib

# Check types
[group('checks')]
types: _install
    python -m mypy

# Measure speed side by side with plain loops
[group('checks')]
[positional-arguments]
bench *rest: _install
    @python benchmarks/bench.py "$@"

# Ask every other host that the built site links to; says which links are broken
[group('checks')]
links: book
    @python tools/links.py

# Put the code into the project's format
[group('checks')]
fmt: _install
    python -m ruff check --fix
    python -m ruff format

# Do what CI does: every test and check, the book, the site
[group('checks')]
ci:
    @.ci/run

# Resolve the pins in constraints.txt anew and say what changed
[group('publishing')]
update-constraints: _install
    @python tools/pins.py

# Build the book from scratch and write the release's archive and checksums into _build/release
[group('publishing')]
[positional-arguments]
release *version: _install
    @python tools/release.py "$@"

# Remove what was built; runs under experiments/ and .venv stay
[group('checks')]
clean:
    rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
