# shellcheck shell=bash
# Format, lints, types, licences and the rules of the house. Nothing stops at the first failure: all are told at the end.

CARGO_DENY=0.20.2
FAILED=()

# attempt LOG "what" COMMAND…: a step whose failure is remembered.
attempt() { step "$@" || FAILED+=("$2"); }

check_scripts() { shellcheck -x dev .ci/run scripts/*.sh; }

licences() { "$TOOLS/bin/cargo-deny" --locked check --hide-inclusion-graph licenses bans sources; }

# The advisory database lives on a public host: asked where that can be reached, and said where not.
advisories() {
    curl -sfI -m 5 -o /dev/null https://github.com/rustsec/advisory-db || {
        say "- advisories: the database cannot be reached from here, not asked"
        return
    }
    attempt advisories "known vulnerabilities" "$TOOLS/bin/cargo-deny" --locked check advisories
}

check_all() {
    attempt fmt "format of the Rust code" cargo fmt --all --check
    command -v shellcheck >/dev/null && attempt shell "scripts" check_scripts
    if build_ui_packages; then
        attempt ui-format "format of the user interface" npm --prefix ui run --silent format:check
        attempt ui-lint "lints of the user interface" npm --prefix ui run --silent lint
        attempt ui-types "types of the user interface" npm --prefix ui run --silent check
    fi
    build_ui || FAILED+=("building the user interface")
    if cargo_tool cargo-deny "$CARGO_DENY"; then
        attempt deny "licences, bans and sources of dependencies" licences
        advisories
    else
        FAILED+=("building cargo-deny")
    fi
    attempt clippy "lints of the Rust code" cargo clippy --locked --workspace --all-targets -- -D warnings
}

rules() { attempt rules "rules of the house (edges, purity, sizes, links)" cargo test --locked --quiet -p tests-rules; }

tell_failures() {
    [ ${#FAILED[@]} -eq 0 ] && return 0
    say ""
    say "failed:"
    printf '    %s\n' "${FAILED[@]}"
    return 1
}

check_only() {
    install_for build
    check_all
    rules
    tell_failures || exit 1
    say "all checks passed"
}
