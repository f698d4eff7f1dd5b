# What is done often. `just` lists it.

_default:
    @just --list

# Everything that must hold before a commit.
check: lint test docs scenarios

# Every test.
test:
    cargo test

# Form and clippy; a warning is an error.
lint:
    cargo fmt --check
    cargo clippy --all-targets --locked -- -D warnings

# Writes the form.
fmt:
    cargo fmt

# The manual's tests, and the API's documentation without a warning.
docs:
    cargo test --test docs
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

# Serves a configuration; the built-in lab unless said: just serve --config my.toml
serve *arguments:
    cargo run -- serve {{arguments}}

# The manual as a book, at http://127.0.0.1:3000. Needs mdbook: cargo install mdbook --locked
book:
    mdbook serve docs

# The scenarios alone. UPDATE_EXPECT=1 rewrites what they expect.
scenarios:
    cargo test --test scenarios

# Every benchmark in its short form: instructions of single functions, and plustwo beside other servers.
bench:
    cargo bench

# Name servers that do not answer: plustwo beside Unbound, about four minutes.
bench-outage *arguments:
    cargo bench --bench peers -- --workloads outage {{arguments}}

# plustwo beside other servers: just bench-peers --workloads local,cached --rounds 7; --help lists the rest.
bench-peers *arguments:
    cargo bench --bench peers -- {{arguments}}
