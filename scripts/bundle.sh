# shellcheck shell=bash
# Installers of the release build, by the Tauri CLI that ui/package.json names.

bundle() {
    install_for build bundle
    build_ui || exit 1
    step bundle "building the release and its packages (minutes)" ui/node_modules/.bin/tauri build --bundles "${1:-deb,rpm}" --ci || exit 1
    find "$TARGET/release/bundle" -maxdepth 2 -type f \( -name '*.deb' -o -name '*.rpm' -o -name '*.dmg' \)
}
