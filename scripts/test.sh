# shellcheck shell=bash
# All tests, quick ones first; every failure is told at the end, and the last line counts them.

TAURI_DRIVER=2.1.0

# LiveKit's Python SDK (libwebrtc) and livekit-client, for the tests with foreign clients.
foreign_clients() { step interop "installing foreign clients" tests/interop/setup "$TARGET/interop"; }

LIVEKIT=1.11.0
LIVEKIT_GO=1.26

build_livekit() {
    local work=$STATE/livekit
    go_of "$LIVEKIT_GO" || return
    # Its modules and what is compiled of them are a gigabyte that nobody needs later; the cache stays writable so that
    # it can be removed. Another Go than this one is not downloaded.
    env GOPATH="$work/path" GOCACHE="$work/cache" GOBIN="$work/bin" GOFLAGS=-modcacherw GOTOOLCHAIN=local CGO_ENABLED=0 \
        "$GO" install "github.com/livekit/livekit-server/cmd/server@v$LIVEKIT" || return
    mkdir -p "$TOOLS/bin"
    mv "$work/bin/server" "$TOOLS/bin/livekit-server" && rm -rf "$work"
}

# LiveKit's own server, for the tests of rooms: what works with the embedded ones has to work there.
livekit_server() {
    [ -x "$TOOLS/bin/livekit-server" ] && stamped livekit "$LIVEKIT" && return
    step livekit "building LiveKit's server $LIVEKIT (once, some minutes)" build_livekit || return
    stamp livekit "$LIVEKIT"
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
    livekit_server || FAILED+=("LiveKit's server")
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
