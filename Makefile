# Developers' targets. Users need only ./printroom; everything here uses the same .venv.
PY := .venv/bin/python

.PHONY: setup-image trial-power image image-test image-twice oci help-screens bench-panel trial-syncing bench-sync fuzz-ipp conformance bench-ipp check format test demo setup bench-store bench-render help-pictures trial-printing bench-printing
setup:                  ## the developers' virtual environment
	@./printroom setup-dev

setup-image:            ## what Debian has to supply for the image and its trials
	@ARCH=$(ARCH) ./printroom setup-image

check: setup            ## style, types, layering
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-cache

format: setup           ## put the code into shape
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

test:                   ## everything, as CI runs it
	./printroom test

demo:                   ## the whole mission, on virtual printers
	./printroom demo

help-screens: setup     ## the manual's pictures of the screens, taken by the accessibility test
	$(PY) -m tests.help_screens

help-pictures: setup    ## the help pages' pictures of the ready-made layouts
	$(PY) -m tests.help_pictures

trial-printing: setup   ## tickets on a pool of four while everything is killed and cut off: FAULTS, SEED
	$(PY) -m tests.trials.printing --faults $(or $(FAULTS),500) --seed $(or $(SEED),0)

trial-syncing: setup    ## desktops over a bad link to a box that is killed: SECONDS, SEED
	$(PY) -m tests.trials.syncing --seconds $(or $(SECONDS),300) --seed $(or $(SEED),0)

bench-sync: setup       ## durable pushes a second beside an empty Flask route under the same gunicorn
	$(PY) -m tests.benchmarks.bench_sync

bench-panel: setup      ## the panel's pages while the box is idle and while it draws all it can
	$(PY) -m tests.benchmarks.bench_panel

conformance: setup      ## ipptool's suites against the box, ippeveprinter and cupsd
	$(PY) -m tests.conformance

fuzz-ipp: setup         ## bent requests without end: PRINTROOM_FUZZ examples
	PRINTROOM_FUZZ=$(or $(PRINTROOM_FUZZ),100000) $(PY) -m pytest -q --timeout 0 tests/ipp/test_fuzz.py

bench-ipp: setup        ## jobs accepted a second by the front end beside cupsd and ippeveprinter
	$(PY) -m tests.benchmarks.bench_ipp

image: setup-image      ## the box image, into build/image: Debian packages and Python wheels from the registries
	PYTHON=$(abspath $(PY)) image/build build/image $(VERSION)

oci: setup-image        ## the same tree as an OCI image for a NAS, into build/image
	PYTHON=$(abspath $(PY)) image/oci build/image $(VERSION)

image-twice: setup-image  ## builds this commit twice and compares, byte for byte
	PYTHON=$(abspath $(PY)) image/twice build/twice

image-test: image       ## it boots in QEMU, prints, is updated, cut off, damaged and mended: PARTS, ARCH
	$(PY) -m tests.image build/image $(or $(VERSION),0.1.0) $(if $(PARTS),--parts $(PARTS)) $(if $(ARCH),--architecture $(ARCH))

trial-power: setup-image  ## the image's power is cut while desktops push and computers print: CUTS, SEED
	$(PY) -m tests.image.powercuts build/image/printroom_$(or $(VERSION),0.1.0)_amd64.raw.zst --cuts $(or $(CUTS),20) --seed $(or $(SEED),0)

bench-store: setup      ## durable commits beside SQLite and TinyDB
	PYTHONPATH=. $(PY) tests/benchmarks/bench_store.py

bench-printing: setup   ## a dead pool member, 5,000 sheets in a ticket, drawn sheet to first byte
	$(PY) -m tests.benchmarks.bench_printing

bench-render: setup     ## drawing beside libvips, ImageMagick (Debian's imagemagick) and plain Pillow
	@./printroom setup-simd || true
	PYTHONPATH=. $(PY) tests/benchmarks/bench_render.py
