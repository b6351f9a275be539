# shellcheck shell=bash
# Coverage-guided fuzzing by libFuzzer. The stable compiler can count coverage; a sanitizer, which it cannot have, would find
# little in code without `unsafe`.

# fuzz [SECONDS [TARGET…]]: each target for that long, from the corpora of the tests. What it finds is kept under target/fuzz.
fuzz() {
    local seconds=${1:-60} host which seeds
    [ $# -gt 0 ] && shift
    case $seconds in *[!0-9]* | '') die "./dev fuzz: '$seconds' is no number of seconds" ;; esac
    [ $# -gt 0 ] || set -- frames depacketizer
    for which in "$@"; do fuzz_seeds "$which" >/dev/null; done
    install_for build
    host=$(rustc -vV | sed -n 's/^host: //p')
    # With --target the counters stay out of build scripts and macros, which have nobody to count for.
    RUSTFLAGS="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares" \
        CARGO_TARGET_DIR="$TARGET/fuzz" step fuzz-build "building the fuzz targets" \
        cargo build --locked --release --manifest-path fuzz/Cargo.toml --target "$host" || exit 1
    for which in "$@"; do
        seeds=$(fuzz_seeds "$which")
        mkdir -p "$TARGET/fuzz/corpus/$which"
        step "fuzz-$which" "fuzzing $which for $seconds s" "$TARGET/fuzz/$host/release/$which" \
            -max_total_time="$seconds" -artifact_prefix="$TARGET/fuzz/$which-" -timeout=10 -max_len=65536 \
            "$TARGET/fuzz/corpus/$which" "$seeds" || die "$which fell over: add the input that the log names to $seeds"
        grep -E '^#[0-9]+[[:space:]]+DONE' "$LOGS/fuzz-$which.log" || die "$which did not run to its end"
    done
}

# Where a target's seeds are: what the ordinary tests replay.
fuzz_seeds() {
    case $1 in
        frames) echo crates/protocol/tests/corpus/frames ;;
        depacketizer) echo crates/media/tests/corpus/depacketizer ;;
        *) die "there is no fuzz target '$1': frames or depacketizer" ;;
    esac
}
