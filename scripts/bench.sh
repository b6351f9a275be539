# shellcheck shell=bash
# Measurements on release builds; tests/bench says what is measured and how.

bench() {
    install_for build demo test
    build_ui || exit 1
    step interop "installing foreign clients" tests/interop/setup "$TARGET/interop" || exit 1
    step bench-build "building the release (the first time takes minutes)" cargo build --locked --release --workspace --bins || exit 1
    # Thousands of clients are as many sockets, here and at the server.
    ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
    exec "$TARGET/release/ahoy-bench" --tools "$TARGET/interop" "$@"
}
