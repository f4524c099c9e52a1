# shellcheck shell=sh
# shellcheck disable=SC2154  # names of places.sh and install.sh
# Everything is looked at before anything is changed; what is wrong is said all at once.

look_at_all() {
    look_at_caller
    look_at_system
    look_at_python
    look_at_disks
    look_at_names
    look_at_clock
    if setup_here; then look_at_setup; else look_at_bundle; fi
    look_at_document
}

look_at_return() {
    look_at_caller
    read_switching
    [ -n "$(id_of current)" ] ||
        problem "Nothing is installed in $opt." "Run install.sh of a bundle."
    way_back=${from:-$(id_of previous)}
    if [ -z "$way_back" ]; then
        problem "There is no version before $(id_of current)." \
            "Install the one you want from its own bundle: that is the same way."
    elif ! works "$versions/$way_back"; then
        problem "$versions/$way_back does not start any more." \
            "Install that version again from its own bundle."
    fi
    look_at_disks
}

look_at_removal() {
    look_at_caller
    [ -e "$opt" ] || [ -n "$purge" ] ||
        problem "Nothing is installed in $opt." "To take document and state away, too: --purge."
}

look_at_caller() {
    [ "$(id -u)" = 0 ] || problem "This needs root." "Start it with sudo."
}

look_at_system() {
    for tool in dpkg flock findmnt getent logger sha256sum sync systemctl systemd-sysusers \
        systemd-tmpfiles; do
        command -v "$tool" >/dev/null 2>&1 ||
            problem "There is no $tool." "apt-get install systemd util-linux coreutils dpkg"
    done
    [ -e /proc/mounts ] || problem "/proc is not mounted." "mount -t proc proc /proc"
    machine=$(dpkg --print-architecture 2>/dev/null) || machine=unknown
    case $machine in
    amd64) wheel_for=x86_64 ;;
    arm64) wheel_for=aarch64 ;;
    *)
        wheel_for=
        problem "This system is of kind $machine; Loadkeeper runs on arm64 and amd64." \
            "On a Raspberry Pi write the 64-bit image: 32-bit systems call themselves armhf."
        ;;
    esac
    release=$(. /etc/os-release 2>/dev/null && echo "${ID:-} ${VERSION_ID:-}") || release=unknown
    case $release in
    "debian 12" | "debian 13" | "raspbian 12" | "raspbian 13") ;;
    *) problem "This is ${release:-unknown}, not Debian 12 or 13 nor Raspberry Pi OS of their age." \
        "Install one of these: nothing else has been tried." ;;
    esac
    found=$(systemctl --version 2>/dev/null | awk 'NR == 1 {print $2 + 0}')
    [ "${found:-0}" -ge 252 ] ||
        problem "systemd here is ${found:-missing}; the units need 252 or later." \
            "Upgrade to Debian 12 or later."
}

look_at_python() {
    if ! "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        problem "$python is not Python 3.11 or later." "apt-get install python3 python3-venv"
    elif ! "$python" -I -c 'import ensurepip, venv' 2>/dev/null; then
        problem "$python cannot make virtual environments." "apt-get install python3-venv"
    fi
}

# existing PATH: the nearest folder that is there.
existing() {
    near=$1
    while [ ! -d "$near" ]; do near=$(dirname "$near"); done
    echo "$near"
}

look_at_disks() {
    look_at_room "$opt" "$opt_mb"
    held=$(du -sm "$state" 2>/dev/null | cut -f1) || held=
    look_at_room "$state" $((state_mb + ${held:-0}))
    for place in "$opt" "$etc" "$units" /usr/local/bin "$state"; do
        near=$(existing "$place")
        if findmnt -no OPTIONS -T "$near" 2>/dev/null | tr ',' '\n' | grep -qx ro; then
            problem "$near is mounted read-only." \
                "mount -o remount,rw $(findmnt -no TARGET -T "$near"), and ro again afterwards."
        fi
    done
    # What is written above a read-only root is gone at the next start.
    if [ "$(findmnt -no FSTYPE /)" = overlay ] &&
        { findmnt -no SOURCE / | grep -q overlayroot ||
            grep -qE '(^| )(boot=overlay|overlayroot=)' /proc/cmdline; }; then
        problem "The root file system is an overlay in memory: all of this would be lost." \
            "raspi-config nonint disable_overlayfs, reboot, install, and enable it again."
    fi
}

look_at_room() {
    free=$(df -Pm "$(existing "$1")" | awk 'NR == 2 {print $4}')
    [ "$free" -ge "$2" ] || problem "$1 has ${free} MB free, and needs $2 MB." "Make room there."
}

look_at_names() {
    for name in loadkeeper loadkeeper-link; do
        uid=$(getent passwd "$name" | cut -d: -f3) || uid=
        if [ -n "$uid" ] && [ "$uid" -ge 1000 ]; then
            problem "The user $name is a person's account here (number $uid)." \
                "Rename it: the name is needed for a system user."
        fi
        for place in /usr/lib/systemd/system /lib/systemd/system /usr/local/lib/systemd/system; do
            [ ! -e "$place/$name.service" ] ||
                problem "$place/$name.service is there, and not of this making." \
                    "Remove what brought it, or move it away."
        done
        ours_or_nothing "$units/$name.service" "$opt/current/setup/units/$name.service"
    done
    ours_or_nothing "$command" "$opt/current/bin/loadkeeper"
    if [ -e "$opt" ] && [ ! -d "$versions" ] && [ -n "$(ls -A "$opt")" ]; then
        problem "$opt holds something that is not of this making." "Move it away."
    fi
}

ours_or_nothing() {
    if [ -e "$1" ] || [ -L "$1" ]; then
        [ "$(readlink "$1")" = "$2" ] ||
            problem "$1 is there, and not of this making." "Move it away, or remove it."
    fi
}

# A clock that is behind this bundle is wrong; one that only may be wrong is remarked upon.
look_at_clock() {
    built=$(cat "$here/BUILT" 2>/dev/null) || built=0
    if [ "$(date +%s)" -lt "$built" ]; then
        problem "The clock says $(date), but this bundle is of $(date -d "@$built")." \
            "Set it: timedatectl set-time 'YYYY-MM-DD HH:MM', or let it find a time server."
    elif running && [ "$(timedatectl show -p NTPSynchronized --value 2>/dev/null)" = no ]; then
        say "Remark: the clock is not synchronised. Limits with a time of day wait until it is."
    fi
}

look_at_setup() {
    version=$(cat "$here/VERSION")
    wheel=
    [ "$here" = "$versions/$(id_of current)/setup" ] ||
        problem "$here is not the version that is installed." \
            "To return to the version before, run install.sh --back; else install from a bundle."
}

look_at_bundle() {
    version=$(cat "$here/VERSION" 2>/dev/null) || version=
    if [ -z "$version" ] || [ ! -e "$here/SHA256SUMS" ]; then
        problem "$here is no bundle: VERSION or SHA256SUMS is missing." \
            "Unpack loadkeeper-VERSION.tar.gz and run the install.sh in it."
        return
    fi
    if ! wrong=$(cd "$here" && sha256sum --quiet --strict -c SHA256SUMS 2>&1); then
        problem "Files of this bundle are damaged or missing: $(echo "$wrong" | tr '\n' ' ')" \
            "Copy and unpack it again."
    fi
    [ -n "$wheel_for" ] || return 0
    wheel=$(find "$here" -maxdepth 1 -name "loadkeeper-$version-*_$wheel_for.whl")
    [ -n "$wheel" ] ||
        problem "This bundle holds no wheel for $machine." \
            "Take one that does: it is made by \`make bundle\`, for arm64 after \`make arm64\`."
    [ -n "$wheels" ] || return 0
    if [ ! -d "$wheels" ]; then
        problem "$wheels is no folder." "Give the folder of wheels that pip download has filled."
        return
    fi
    wheels=$(cd "$wheels" && pwd)
    lacks=$(lacking "$wheels" "$here/requirements.txt")
    [ -z "$lacks" ] ||
        problem "In $wheels there is no file as locked in requirements.txt of: $lacks" \
            "pip download --only-binary :all: --require-hashes -r requirements.txt -d DIR, \
on a machine with internet and the same kind of processor and Python."
}

# lacking DIR REQUIREMENTS: the libraries of which no file there has a hash that is listed.
lacking() {
    { sha256sum "$1"/*.whl 2>/dev/null || :; } | awk '
        NR == FNR && FILENAME == "-" { have[$1] = 1; next }
        /^[A-Za-z]/ { if (name != "" && !found) print name; name = $1; found = 0 }
        match($0, /--hash=sha256:[0-9a-f]+/) {
            if (substr($0, RSTART + 14, RLENGTH - 14) in have) found = 1
        }
        END { if (name != "" && !found) print name }' - "$2" | tr '\n' ' '
}

look_at_document() {
    [ -e "$site" ] || [ -L "$site" ] || return 0
    [ -f "$site" ] || problem "$site is no file." "Put the site document there."
}
