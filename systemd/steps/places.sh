# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154  # shared with install.sh and its other steps
# Where everything lies, what is said, and how a file or a link changes in one instant.

opt=/opt/loadkeeper
versions=$opt/versions   # one complete version in each: its venv, and in setup/ what belongs to it
states=$opt/states       # copies of the state, made before each switch
switching=$opt/switching # "FROM TO BEFORE" while one version gives way to another, - for none
etc=/etc/loadkeeper
site=$etc/site.toml
state=/var/lib/loadkeeper
link_state=/var/lib/loadkeeper-link
runtime=/run/loadkeeper
units=/etc/systemd/system
command=/usr/local/bin/loadkeeper
python=/usr/bin/python3
# Named so that it comes after what Raspberry Pi OS has of its own.
watchdog=/etc/systemd/system.conf.d/60-loadkeeper-watchdog.conf
lock=/run/loadkeeper-install.lock # only root makes files there

keep_states=5
up_within_s=60 # from the start until `loadkeeper status` answers
steady_s=5     # and so long it must stay up
opt_mb=300
state_mb=64

# Loses a closed terminal's errors: what is under way is finished all the same.
say() {
    printf '%s\n' "$*" 2>/dev/null || :
    if [ -S /dev/log ]; then logger -t loadkeeper-install -- "$*" 2>/dev/null || :; fi
}

die() {
    say "install.sh: $*" >&2
    exit 1
}

problems=
# problem WHAT WHAT-TO-DO
problem() {
    problems="$problems
  - $1
      $2"
}

tell_problems() {
    [ -z "$problems" ] && return
    say "Not done, and nothing was changed:$problems" >&2
    exit 1
}

# One at a time. The lock goes with the process, however that ends.
only_one() {
    [ "$(id -u)" = 0 ] || return 0 # the checks say so
    mkdir -p "${lock%/*}"
    exec 9>"$lock"
    # What a killed one had started may live on for some seconds.
    flock -w 30 9 || die "another install.sh, or what is left of one, is at work. Wait for its end."
}

running() { [ -d /run/systemd/system ]; } # systemd, here: not in the chroot of an image

# on_disk PATH...: a power cut from now on leaves what was written.
on_disk() { sync -f "$@" 2>/dev/null || sync; }

# link_to TARGET LINK: from one instant to the next; a power cut leaves the old one or the new.
link_to() {
    [ "$(readlink "$2" 2>/dev/null)" != "$1" ] || return 0
    rm -f "$2.new"
    ln -s "$1" "$2.new"
    mv -fT "$2.new" "$2"
    on_disk "${2%/*}"
}

# put SOURCE PLACE MODE: a copy, only when it differs; says so in `laid`.
laid=
put() {
    if [ ! -L "$2" ] && cmp -s "$1" "$2"; then return 0; fi
    mkdir -p "${2%/*}"
    cp "$1" "$2.new"
    chmod "$3" "$2.new"
    on_disk "$2.new"
    mv -fT "$2.new" "$2"
    on_disk "${2%/*}"
    laid="$laid $2"
}

# write PLACE WORDS: one line, whole or not at all.
write() {
    [ "$(cat "$1" 2>/dev/null)" != "$2" ] || return 0
    printf '%s\n' "$2" >"$1.new"
    on_disk "$1.new"
    mv -fT "$1.new" "$1"
    on_disk "${1%/*}"
}

# id_of current|previous: the version's name; nothing where there is none.
id_of() {
    found=$(readlink "$opt/$1" 2>/dev/null) || return 0
    echo "${found##*/}"
}

# setup_here: this script runs out of an installed version, not out of a bundle.
setup_here() {
    case $here in "$versions"/*/setup) return 0 ;; *) return 1 ;; esac
}
