# shellcheck shell=bash
# Two windows on this machine's own server. What happens then is told by tests/bench/src/bin/ahoy-demo.rs.

run() {
    local display=yes
    [ "$(uname -s)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && display=
    if [ "$display" ]; then install_for build; else install_for build demo; fi
    build_programs || exit 1
    if [ "$display" ]; then exec "$TARGET/debug/ahoy-demo" --folder "$STATE/run" windows "$@"; fi
    say "There is no display: alice calls bob on a virtual one."
    exec "$TARGET/debug/ahoy-demo" --folder "$STATE/run" call "$@"
}
