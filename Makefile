# The commands of the project. `make` builds everything under build/.
BUILD := build
JOBS  := $(shell nproc 2>/dev/null || echo 2)
CARGO := cargo

.PHONY: all demo test test-full test-teeth test-bites test-valgrind test-address test-thread
.PHONY: bench fuzz fmt lint header readme clean packages

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
	@tests/tools/teeth $(BUILD)
	@tests/tools/valgrind $(BUILD) messages rekey

test-full: test test-valgrind test-bites test-address test-thread
	NACRE_TEST_FULL=1 $(CARGO) test --locked
	cd fuzz && NACRE_TEST_FULL=1 $(CARGO) test --locked
	cd $(BUILD) && NACRE_TEST_FULL=1 ctest --output-on-failure --parallel $(JOBS)

# Against a library that does nothing every C test fails; and every exported name is used by one.
test-teeth: all
	@tests/tools/teeth $(BUILD)

# One function at a time does nothing: some C test notices.
test-bites: all
	@tests/tools/bites $(BUILD)

test-valgrind: all
	@tests/tools/valgrind $(BUILD)

# The C tests with a sanitizer over the Rust code, aws-lc and the tests, in build folders of their own.
test-address test-thread: test-%: packages
	@tests/tools/sanitized $* $(BUILD)/$*

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
