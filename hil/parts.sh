# How long each part of a check took: for ./test, make and .ci/run, which run one inside the other.
#
# Read by POSIX sh in the project's root. Whoever is outermost prints the table.

parts_file=build/parts.txt
if [ -z "${PARTS_INSIDE-}" ]; then
    mkdir -p build && : >"$parts_file"
    export PARTS_INSIDE=1
    parts_outermost=yes
fi

# part NAME COMMAND...: runs it, tells and remembers its time and whether it failed. Returns 0.
part() {
    part_name=$1 part_began=$(date +%s) part_status=0
    shift
    echo "== $part_name"
    "$@" || part_status=$?
    took "$part_name" "$part_began" "$part_status"
}

# took NAME BEGAN STATUS: for what cannot be run by part.
took() {
    set -- "$1" "$(($(date +%s) - $2))" "$3"
    echo "== $1: $2 s, exit status $3"
    printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$parts_file"
}

# parts_told: the table, from whoever is outermost. Fails when a part has failed.
parts_told() {
    if [ -n "${parts_outermost-}" ]; then
        awk -F '\t' '
            { printf "  %-20s %5d s%s\n", $1, $2, $3 ? "  FAILED" : ""; all += $2 }
            END { printf "  %-20s %5d s\n", "all", all }' "$parts_file"
    fi
    ! awk -F '\t' '$3 { found = 1 } END { exit !found }' "$parts_file"
}

# make_parts TARGET...: one after the other, also after one that failed: each says what is wrong.
make_parts() {
    for target in "$@"; do
        part "$target" make --no-print-directory --silent "$target"
    done
    parts_told
}
