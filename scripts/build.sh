# shellcheck shell=bash
# Building the user interface and the programs.

build_ui_packages() {
    local print
    print=$(cksum <ui/package-lock.json)
    [ -d ui/node_modules ] && [ "$(cat ui/node_modules/.installed 2>/dev/null)" = "$print" ] && return
    step npm "installing the user interface's packages" npm --prefix ui ci --no-audit --no-fund --loglevel=error || return
    printf '%s' "$print" >ui/node_modules/.installed
}

ui_sources() { find ui -path ui/node_modules -prune -o -path ui/dist -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 cksum | cksum | tr -d ' '; }

build_ui() {
    local print
    build_ui_packages || return
    print=$(ui_sources)
    [ -f ui/dist/index.html ] && stamped ui "$print" && return
    step ui "building the user interface" npm --prefix ui run --silent build || return
    stamp ui "$print"
}

# build_programs [PROFILE ARGUMENTS]: the app, the server and the programs that drive them.
build_programs() {
    build_ui || return
    step build "building the app and the server (the first time takes minutes)" cargo build --locked --workspace --bins "$@"
}
