# shellcheck shell=bash
# All tests, quick ones first; every failure is told at the end, and the last line counts them.

TAURI_DRIVER=2.1.0

# What the tests with foreign clients start: LiveKit's Python SDK (libwebrtc) and livekit-client in Chromium.
foreign_clients() {
    local print home=$STATE/interop
    print=$(fingerprint tests/interop/requirements.txt tests/interop/package-lock.json)
    export AHOY_INTEROP_PYTHON=$home/bin/python
    stamped interop "$print" && [ -x "$AHOY_INTEROP_PYTHON" ] && return
    step venv "installing LiveKit's Python client" install_python_client "$home" || return
    step interop-npm "installing LiveKit's browser client" npm --prefix tests/interop ci --no-audit --no-fund --loglevel=error || return
    stamp interop "$print"
}

install_python_client() {
    rm -rf "$1" && python3 -m venv "$1" && "$1/bin/pip" install -q --disable-pip-version-check -r tests/interop/requirements.txt
}

# Sums of the closing lines of cargo test and vitest.
count_tests() {
    local log passed=0 failed=0 skipped=0 p f s
    for log in "$LOGS/cargo-test.log" "$LOGS/ui-test.log"; do
        [ -f "$log" ] || continue
        read -r p f s < <(sed 's/\x1b\[[0-9;]*m//g' "$log" | awk '
            /^test result:/ { for (i = 1; i < NF; i++) { if ($(i+1) ~ /^passed/) p += $i; if ($(i+1) ~ /^failed/) f += $i; if ($(i+1) ~ /^ignored/) s += $i } }
            /^ +Tests +/ { for (i = 1; i < NF; i++) { if ($(i+1) ~ /^passed/) p += $i; if ($(i+1) ~ /^failed/) f += $i; if ($(i+1) ~ /^skipped/) s += $i } }
            END { print p + 0, f + 0, s + 0 }')
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    done
    COUNTED=$((passed + failed))
    COUNTS="$passed passed, $failed failed, $skipped skipped"
}

run_tests() {
    rm -f "$LOGS/cargo-test.log" "$LOGS/ui-test.log"
    install_for build demo test
    check_all
    show ui-test "tests of the user interface" npm --prefix ui test || FAILED+=("tests of the user interface")
    foreign_clients || FAILED+=("installing the foreign clients")
    cargo_tool tauri-driver "$TAURI_DRIVER" || FAILED+=("tauri-driver")
    if step test-build "building the programs and the tests" cargo build --locked --workspace --all-targets; then
        show cargo-test "tests of the programs" cargo test --locked --workspace --no-fail-fast "$@" || FAILED+=("tests of the programs")
    else
        FAILED+=("building the programs and the tests")
    fi
    count_tests
    [ "$COUNTED" -gt 0 ] || FAILED+=("no test ran")
    tell_failures || {
        say "$COUNTS"
        exit 1
    }
    say ""
    say "$COUNTS"
}
