# shellcheck shell=bash
# How the script speaks: one line for each step, with what it is doing and for how long.

if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then ON_TERMINAL=1; else ON_TERMINAL=; fi

say() { printf '%s\n' "$*"; }

die() {
    printf 'dev: %s\n' "$*" >&2
    exit 1
}

# What a running step said last, cut to fit a line.
last_words() { tr '\r' '\n' <"$1" 2>/dev/null | sed 's/\x1b\[[0-9;]*[A-Za-z]//g' | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c 1-80 || true; }

# step LOG "what is done" COMMAND…: runs the command with its output in LOGS/LOG.log, tells what it is doing and for how
# long, and shows the end of the output where it failed. Returns what the command returned.
step() {
    local log=$LOGS/$1.log what=$2 start=$SECONDS pid code=0 told=0 took
    shift 2
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    [ "$ON_TERMINAL" ] || say "- $what …"
    while kill -0 "$pid" 2>/dev/null; do
        took=$((SECONDS - start))
        if [ "$ON_TERMINAL" ]; then
            printf '\r\033[K- %s … %d s  \033[2m%s\033[0m' "$what" "$took" "$(last_words "$log")"
        elif [ $((took - told)) -ge 30 ]; then
            told=$took
            say "  $what … ${took} s: $(last_words "$log")"
        fi
        sleep 0.3
    done
    wait "$pid" || code=$?
    took=$((SECONDS - start))
    [ "$ON_TERMINAL" ] && printf '\r\033[K'
    if [ "$code" -eq 0 ]; then
        say "- $what: done, $took s"
    else
        say "- $what: FAILED after $took s (the whole output: $log)"
        tail -n "${STEP_TAIL:-60}" "$log" | sed 's/^/    /'
    fi
    return "$code"
}

# show LOG "what is done" COMMAND…: as step, for commands whose output people want to read as it comes.
show() {
    local log=$LOGS/$1.log what=$2 start=$SECONDS code=0
    shift 2
    say "- $what …"
    "$@" </dev/null 2>&1 | tee "$log" || code=$?
    if [ "$code" -eq 0 ]; then say "- $what: done, $((SECONDS - start)) s"; else say "- $what: FAILED after $((SECONDS - start)) s"; fi
    return "$code"
}

# stamped NAME FINGERPRINT: whether the step NAME was done for exactly this input; stamp NAME FINGERPRINT notes it.
stamped() { [ "$(cat "$STATE/$1.stamp" 2>/dev/null)" = "$2" ]; }
stamp() { printf '%s' "$2" >"$STATE/$1.stamp"; }

# One word that changes with the names and contents of files.
fingerprint() { find "$@" -type f -print0 2>/dev/null | LC_ALL=C sort -z | xargs -0 cksum | cksum | tr -d ' '; }

# at_least HAVE WANTED: compares versions.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }
