# shellcheck shell=sh
# shellcheck disable=SC2154  # names of places.sh, checks.sh and install.sh
# One version, complete, in a folder of its own: it is built beside, and gets its name when it is
# whole. A power cut leaves what can be seen by its name to be half-made, and is cleared away.

# works VERSION-FOLDER: it starts, and is what its name says.
works() {
    [ -x "$1/bin/loadkeeper" ] && [ -e "$1/setup/VERSION" ] &&
        [ "$("$1/bin/loadkeeper" --version 2>/dev/null)" = "loadkeeper $(cat "$1/setup/VERSION")" ]
}

# same VERSION-FOLDER: made of just this bundle.
same() { cmp -s "$here/SHA256SUMS" "$1/setup/SHA256SUMS"; }

# take_version: the version of this bundle stands complete; its name is in `taken`.
take_version() {
    if setup_here; then
        taken=$(id_of current) log=/dev/null
        pins_work "$versions/$taken" || borrow_pins "$versions/$taken"
        documents_hold "$versions/$taken" || give_up_build ''
        return
    fi
    for folder in "$versions"/*; do
        if same "$folder" && works "$folder"; then
            taken=${folder##*/} log=/dev/null
            pins_work "$folder" || borrow_pins "$folder"
            documents_hold "$folder" || give_up_build ''
            say "$folder is complete."
            return
        fi
    done
    number=1
    taken=$version
    while [ -e "$versions/$taken" ]; do # another build of that number, or one whose Python is gone
        number=$((number + 1))
        taken=$version-$number
    done
    say "Building $versions/$taken. That takes a minute or two."
    build "$versions/$taken.partial" "$versions/$taken"
    documents_hold "$versions/$taken.partial" || give_up_build "$versions/$taken.partial"
    on_disk "$versions/$taken.partial"
    mv -T "$versions/$taken.partial" "$versions/$taken"
    on_disk "$versions"
}

# try_build: the same somewhere else, and away again.
try_build() {
    setup_here && return
    trial=$(mktemp -d /var/tmp/loadkeeper-check.XXXXXX)
    trap 'rm -rf "$trial"' EXIT
    trap 'exit 1' HUP INT TERM
    say "Building a trial in $trial. That takes a minute or two."
    build "$trial/version" "$trial/version"
    documents_hold "$trial/version" || give_up_build "$trial"
    rm -rf "$trial"
}

give_up_build() {
    [ -z "$1" ] || rm -rf "$1"
    die "Not done, and nothing was changed. What runs, goes on as it was."
}

# build FOLDER FINAL: FINAL is its name when it is whole.
build() {
    rm -rf "$1"
    mkdir -p "${1%/*}"
    log=$(mktemp)
    "$python" -m venv "$1" >"$log" 2>&1 || build_failed "$1" "$python -m venv"
    from_where=
    [ -z "$wheels" ] || from_where=--no-index
    # shellcheck disable=SC2086  # a word or none
    pip_in "$1" --require-hashes $from_where ${wheels:+--find-links "$wheels"} \
        -r "$here/requirements.txt" || build_failed "$1" "pip, with the libraries"
    pip_in "$1" --no-index --no-deps "$wheel" || build_failed "$1" "pip, with $wheel"
    "$1/bin/python" -m pip --disable-pip-version-check check >"$log" 2>&1 ||
        build_failed "$1" "pip check"
    add_pins "$1"
    "$1/bin/python" -m pip --quiet uninstall -y pip >"$log" 2>&1 || build_failed "$1" "pip"
    # Its scripts name the Python by its path.
    find "$1/bin" -type f -exec grep -IlF "$1" {} + |
        while read -r script; do sed -i "s|$1|$2|g" "$script"; done
    sed -i "s|$1|$2|g" "$1/pyvenv.cfg"
    # Its users cannot write here. What does not compile is compiled when it is needed.
    "$1/bin/python" -m compileall -q -s "$1" -p "$2" "$1/lib" >"$log" 2>&1 || :
    add_setup "$1"
    "$1/bin/python" -c "$STARTS" >"$log" 2>&1 || build_failed "$1" "the new version"
    rm -f "$log"
}

STARTS='import cext.thread, cext.tick, controller.commands.link, controller.commands.run'

pip_in() {
    folder=$1
    shift
    "$folder/bin/python" -m pip --quiet --disable-pip-version-check --no-input install \
        --no-compile --only-binary :all: "$@" >"$log" 2>&1
}

build_failed() {
    say "$2 failed:" >&2
    tail -n 20 "$log" >&2
    rm -rf "$1" "$log"
    if [ -z "$wheels" ]; then
        say "Without internet here: fill a folder with pip download, and give it with --wheels." >&2
    fi
    die "Not done, and nothing was changed. What runs, goes on as it was."
}

# The pins of a Raspberry Pi: lgpio as locked, where there is a wheel for this Python; otherwise
# Debian's, and nothing else of Debian's.
add_pins() {
    if pip_in "$1" --require-hashes ${wheels:+--no-index --find-links "$wheels"} \
        -r "$here/pins.txt" && pins_work "$1"; then
        say "Pins: lgpio $("$1/bin/python" -m pip show lgpio | sed -n 's/^Version: //p')."
        return
    fi
    "$1/bin/python" -m pip --quiet uninstall -y lgpio >"$log" 2>&1 || :
    borrow_pins "$1"
}

# borrow_pins VERSION-FOLDER: also of one that was built before the package was there.
borrow_pins() {
    libraries=$("$1/bin/python" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    for file in /usr/lib/python3/dist-packages/lgpio.py /usr/lib/python3/dist-packages/_lgpio*.so; do
        [ ! -e "$file" ] || ln -sf "$file" "$libraries/"
    done
    if pins_work "$1"; then
        say "Pins: there is no wheel of lgpio for this Python; the system's python3-lgpio serves."
        return
    fi
    rm -f "$libraries"/lgpio.py "$libraries"/_lgpio*.so
    say "Pins: none can be driven. Where that is needed: apt-get install python3-lgpio (it is in" \
        "Raspberry Pi OS), then run this again."
}

# lgpio leaves a file in the working directory.
pins_work() {
    corner=$(mktemp -d)
    status=0
    (cd "$corner" && "$1/bin/python" -c 'import lgpio; lgpio.gpiochip_open') >"$log" 2>&1 ||
        status=1
    rm -rf "$corner"
    return "$status"
}

# All that a return to this version will need stays with it.
add_setup() {
    mkdir "$1/setup"
    for name in install.sh steps units site.toml.example requirements.txt pins.txt VERSION BUILT \
        SHA256SUMS; do
        cp -R "$here/$name" "$1/setup/"
    done
    mkdir -p "$1/share/doc"
    cp -R "$here/doc" "$1/share/doc/loadkeeper"
}

# ask FOLDER ARGUMENTS: its loadkeeper, also before it has its name.
ask() {
    folder=$1
    shift
    "$folder/bin/python" -I "$folder/bin/loadkeeper" "$@"
}

# judged VERSION-FOLDER: what that version says of the site document and of those saved since, in
# two words: runs or refused; and good, none, outdated, refused, unreadable or unknown.
judged() {
    ask "$1" check "$site" --state "$state" --json 2>/dev/null | tail -n 1 |
        "$1/bin/python" -I -c '
import json, sys
try:
    answer = json.loads(sys.stdin.read())
except ValueError:
    answer = {}
observes = answer.get("mode") == "observe"
runs = answer.get("problems") == [] and (answer.get("findings") is not None)
proved = answer.get("passed") or observes
print("runs" if runs and proved else "refused", (answer.get("saved") or {}).get("standing", "unknown"))'
}

# documents_hold VERSION-FOLDER: it would run the site document, and what came over MQTT since.
documents_hold() {
    [ -e "$site" ] || return 0
    number=$(cat "$here/VERSION")
    case $(judged "$1") in
    *refused*)
        say "Version $number would not run the documents that are here:" >&2
        ask "$1" check "$site" --state "$state" >&2 || :
        say "Mend $site, or send a document that fits over MQTT; then run this again." >&2
        return 1
        ;;
    *unreadable) say "Remark: $number cannot read the saved documents; they are copied and kept." ;;
    esac
    if ! refused=$(ask "$1" unit "$site" 2>&1 >/dev/null); then
        say "No unit can permit what $site asks for:" >&2
        say "$refused" >&2
        say "Mend $site, then run this again." >&2
        return 1
    fi
    pins_suffice "$1" "$number"
}

pins_suffice() {
    wanted=$("$1/bin/python" -I -c 'import sys, tomllib
print(tomllib.load(open(sys.argv[1], "rb")).get("gpio", {}).get("factory", ""))' "$site")
    log=/dev/null
    [ "$wanted" = lgpio ] || return 0
    pins_work "$1" && return
    say "$site drives pins by lgpio, which version $2 does not find here." >&2
    say "apt-get install python3-lgpio, then run this again." >&2
    return 1
}
