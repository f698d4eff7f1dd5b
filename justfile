# Common tasks; `just` lists them.

_default:
    @just --list

# All checks to run before a commit.
check: lint test docs scenarios

# All tests.
test:
    cargo test --locked

# Formatting and clippy; warnings are errors.
lint:
    cargo fmt --check
    cargo clippy --all-targets --locked -- -D warnings
    cargo check --manifest-path fuzz/Cargo.toml --locked

# Licences, sources and unwanted duplicates of dependencies. Requires cargo-deny: cargo install cargo-deny --locked
deny:
    cargo deny --locked check bans licenses sources

# Formats the code.
fmt:
    cargo fmt

# Tests of the manual, and API documentation without warnings.
docs:
    cargo test --test docs
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

# Serves a configuration, by default the built-in lab: just serve --config my.toml
serve *arguments:
    cargo run -- serve {{arguments}}

# The manual as a book, at http://127.0.0.1:3000. Requires mdbook: cargo install mdbook --locked
book:
    mdbook serve docs

# Only the scenarios. UPDATE_EXPECT=1 updates their expected output.
scenarios:
    cargo test --test scenarios

# All benchmarks in their short form: instruction counts, and plustwo compared with other servers.
bench:
    cargo bench

# Unresponsive name servers: plustwo compared with Unbound, about four minutes.
bench-outage *arguments:
    cargo bench --bench peers -- --workloads outage {{arguments}}

# plustwo compared with other servers: just bench-peers --workloads local,cached --rounds 7; --help lists the rest.
bench-peers *arguments:
    cargo bench --bench peers -- {{arguments}}
