# shellcheck shell=sh
# shellcheck disable=SC2154  # names of places.sh
# The state (documents that came over MQTT, limits that live) goes on from version to version. It
# is copied before each switch; so nothing is lost in a version that cannot read it.

# copy_state VERSION: as that version leaves it. The number counts up: clocks may be wrong here.
copy_state() {
    [ -d "$state" ] || return 0
    [ -d "$states" ] || mkdir -m 0700 "$states"
    newest=$(copies | tail -n 1)
    number=$((${newest:-0} + 1))
    rm -rf "$states/$number.partial"
    mkdir -m 0700 "$states/$number.partial"
    # Without the black box, which is large, and the copies of an installation that was removed.
    mkdir "$states/$number.partial/loadkeeper"
    chown --reference="$state" "$states/$number.partial/loadkeeper"
    chmod --reference="$state" "$states/$number.partial/loadkeeper"
    find "$state" -mindepth 1 -maxdepth 1 ! -name blackbox ! -name copies \
        -exec cp -a -t "$states/$number.partial/loadkeeper" {} +
    [ ! -d "$link_state" ] || cp -a "$link_state" "$states/$number.partial/loadkeeper-link"
    echo "$1" >"$states/$number.partial/version"
    on_disk "$states/$number.partial"
    mv -T "$states/$number.partial" "$states/$number"
    on_disk "$states"
    copies | head -n "-$keep_states" | while read -r old; do rm -rf "${states:?}/$old"; done
    rm -rf "$states"/*.partial
}

copies() { find "$states" -mindepth 1 -maxdepth 1 -name '[0-9]*' ! -name '*.*' -printf '%f\n' | sort -n; }

# reads VERSION-FOLDER: what came over MQTT is no riddle to it.
reads() {
    [ -e "$state/documents.json" ] && [ -e "$site" ] || return 0
    case $(judged "$1") in *unreadable) return 1 ;; esac
}

# bring_documents VERSION: where it cannot read what a newer version wrote, it gets back what it
# had itself. Not the limits: an old one could be higher than what was asked for since; a source
# whose limit is not known counts at its fail-safe cap.
bring_documents() {
    reads "$versions/$1" && return
    for number in $(copies | sort -rn); do
        kept=$states/$number/loadkeeper/documents.json
        if [ "$(cat "$states/$number/version")" = "$1" ] && [ -f "$kept" ] && [ ! -L "$kept" ]; then
            # That folder is the enforcer's: a name in it could be a link to anywhere. In one that
            # we have just made, nobody has laid any.
            rm -rf "$state"/.back.*
            corner=$(mktemp -d "$state/.back.XXXXXX")
            cp -aT "$kept" "$corner/documents.json"
            on_disk "$corner/documents.json"
            [ ! -d "$state/documents.json" ] || rm -rf "$state/documents.json"
            mv -fT "$corner/documents.json" "$state/documents.json"
            rm -rf "$corner"
            on_disk "$state"
            say "$1 cannot go on with the saved documents; it has those that it left itself."
            say "The others are kept in $states/$(copies | tail -n 1)."
            return
        fi
    done
    say "$1 cannot go on with the saved documents, and left none: $site is in force."
    say "They are kept in $states/$(copies | tail -n 1)."
}
