# shellcheck shell=bash
# All tests, quick ones first; every failure is told at the end, and the last line counts them.

TAURI_DRIVER=2.1.0

# LiveKit's Python SDK (libwebrtc) and livekit-client, for the tests with foreign clients.
foreign_clients() { step interop "installing foreign clients" tests/interop/setup "$TARGET/interop"; }

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
        # The window tests take the app that was just built.
        export AHOY_APP=$TARGET/debug/ahoy
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
