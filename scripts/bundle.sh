# shellcheck shell=bash
# Installers of the release build, by the Tauri CLI.

TAURI_CLI=2.12.5

# Ready-made from npm for most systems; elsewhere it is built.
tauri_cli() {
    TAURI=$TOOLS/tauri/node_modules/.bin/tauri
    "$TAURI" --version 2>/dev/null | grep -q "$TAURI_CLI" && return
    step tauri-cli "installing the Tauri CLI" npm --prefix "$TOOLS/tauri" install --no-save --no-audit --no-fund "@tauri-apps/cli@$TAURI_CLI"
    "$TAURI" --version >/dev/null 2>&1 && return
    TAURI=$TOOLS/bin/cargo-tauri
    cargo_tool tauri-cli "$TAURI_CLI"
}

bundle() {
    local kinds=deb,rpm
    [ "$(uname -s)" = Darwin ] && kinds=app,dmg
    install_for build
    build_ui || exit 1
    tauri_cli || exit 1
    step bundle "building the release and its packages (minutes)" "$TAURI" build --ci --bundles "${1:-$kinds}" || exit 1
    say "The packages:"
    find "$TARGET/release/bundle" -maxdepth 2 \( -name '*.deb' -o -name '*.rpm' -o -name '*.dmg' -o -name '*.app' \)
}
