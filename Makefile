# The commands of the project. `make` builds everything under build/.
BUILD := build
JOBS  := $(shell nproc 2>/dev/null || echo 2)
CARGO := cargo

.PHONY: all demo test test-full bench fuzz fmt lint header readme clean packages

all: packages
	@cmake -S . -B $(BUILD) >$(BUILD).log 2>&1 || { cat $(BUILD).log; rm -f $(BUILD).log; exit 1; }
	@rm -f $(BUILD).log
	@cmake --build $(BUILD) --parallel $(JOBS) -- -s --no-print-directory

packages:
	@tests/tools/packages

demo: all
	@tests/tools/demo $(BUILD)

test: all lint
	$(CARGO) test --locked
	cd fuzz && $(CARGO) test --locked
	tests/tools/exports $(BUILD)/libnacre.so.0 include/nacre.h
	cd $(BUILD) && ctest --output-on-failure --parallel $(JOBS)

test-full: test
	NACRE_TEST_FULL=1 $(CARGO) test --locked
	cd fuzz && NACRE_TEST_FULL=1 $(CARGO) test --locked

bench: all
	@benches/round $(BUILD)

# Coverage-guided fuzzing, a minute a target: FUZZ_SECONDS and FUZZ_TARGETS say otherwise. See fuzz/run.
fuzz: packages
	@fuzz/run

fmt:
	$(CARGO) fmt --all
	cd fuzz && $(CARGO) fmt

lint:
	$(CARGO) fmt --all --check
	cd fuzz && $(CARGO) fmt --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	cd fuzz && $(CARGO) clippy --locked --all-targets -- -D warnings

# The table of algorithms in README.md.
readme:
	NACRE_WRITE_README=1 $(CARGO) test --locked --test algorithm_tables

header:
	NACRE_WRITE_HEADER=1 $(CARGO) test --locked --test header

clean:
	rm -rf $(BUILD)
