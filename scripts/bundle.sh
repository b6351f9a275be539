# shellcheck shell=bash
# Installers of the release build, by the Tauri CLI.

TAURI_CLI=2.12.5

# The CLI comes ready-made from npm for most systems; elsewhere it is built.
tauri_cli() {
    if ui/node_modules/.bin/tauri --version >/dev/null 2>&1; then
        ui/node_modules/.bin/tauri "$@"
    else
        "$TOOLS/bin/cargo-tauri" "$@"
    fi
}

bundle() {
    local kinds=deb,rpm
    [ "$(uname -s)" = Darwin ] && kinds=app,dmg
    install_for build
    build_ui || exit 1
    ui/node_modules/.bin/tauri --version >/dev/null 2>&1 || cargo_tool tauri-cli "$TAURI_CLI" || exit 1
    step bundle "building the release and its packages (minutes)" tauri_cli build --ci --bundles "${1:-$kinds}" || exit 1
    say "The packages:"
    find "$TARGET/release/bundle" -maxdepth 2 \( -name '*.deb' -o -name '*.rpm' -o -name '*.dmg' -o -name '*.app' \)
}
