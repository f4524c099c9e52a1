# shellcheck shell=sh
# shellcheck disable=SC2154  # names of places.sh and checks.sh
# From one version to another: the chargers are lowered first, and where the new one does not come
# up the one before returns. At every instant `current` names a complete version.

# read_switching: an earlier run was interrupted between two versions.
read_switching() {
    from='' to='' before=''
    [ -e "$switching" ] || return 0
    read -r from to before <"$switching"
    [ "$from" != - ] || from=
    [ "$before" != - ] || before=
    say "An earlier run was interrupted between ${from:-nothing} and $to."
}

# switch_to VERSION: in force when this returns; when it cannot be, the one before is, and we end.
switch_to() {
    read_switching
    to=$1
    if [ ! -e "$switching" ]; then
        from=$(id_of current) before=$(id_of previous)
        if [ "$from" = "$to" ]; then
            refresh
            return
        fi
    elif [ "$from" = "$to" ]; then
        from=$before before= # back to where the interrupted run began
    fi
    begin_switch "$to"
    finish_switch "$to" "$from"
    say "$to is in force.${from:+ To return to $from: $opt/current/setup/install.sh --back}"
    prune
}

# go_back: to the version before; it is treated like any other that has to come up first.
go_back() {
    read_switching
    if [ -e "$switching" ]; then
        to=$from from=$before before= # what was interrupted never came to be
        [ "$from" != "$to" ] || from=
    else
        to=$(id_of previous) from=$(id_of current) before=$to
    fi
    begin_switch "$to"
    finish_switch "$to" "$from"
    say "$to is in force again."
}

# refresh: the version is there already; the machine around it and the document may have changed.
refresh() {
    seen=$(cat "$opt/document" 2>/dev/null) || seen=
    stopped=
    # Before the units change: with a changed document's, the chargers of the one before may be
    # out of reach, and could not be lowered.
    if [ -e "$site" ] && [ "$seen" != "$(document_sum)" ]; then
        draft_site "$command"
        pause "$site"
    fi
    lay_out kept
    if [ -e "$site" ] && [ -n "$laid" ] && [ -z "$stopped" ]; then pause "$laid"; fi
    if ! start_both; then
        unguard
        say "It does not come up. Nothing was switched; the cause is above." >&2
        exit 1
    fi
    unguard
    tell_site
    prune
}

# pause WHAT: until it is started again, whoever closes the terminal.
pause() {
    running || return 0
    stopped=yes
    trap '' HUP INT TERM PIPE
    guard
    say "Putting in force: ${1# }"
    stop_both
}

begin_switch() {
    trap '' HUP INT TERM PIPE # from here on it is finished, whoever closes the terminal
    trap fell_short EXIT
    write "$switching" "${from:--} $1 ${before:--}"
    guard
    if running && systemctl --quiet is-active loadkeeper.service; then
        draft_site "$versions/$1/bin/loadkeeper" # nobody holds the chargers while it thinks
        say "Stopping ${from:-the one before}: the chargers go to their fail-safe setpoints first."
    fi
    stop_both
    copy_state "${from:-none}"
}

# finish_switch VERSION FROM: links, machine, start; and the way back.
finish_switch() {
    bring_documents "$1"
    [ -z "$2" ] || [ "$2" = "$1" ] || link_to "versions/$2" "$opt/previous"
    link_to "versions/$1" "$opt/current"
    lay_out switched
    if start_both; then
        rm -f "$switching"
        on_disk "$opt"
        unguard
        tell_site
        return
    fi
    if [ -z "$2" ] || [ "$2" = "$1" ]; then
        rm -f "$switching"
        unguard
        say "$1 is installed and does not come up; the cause is above. The chargers are at their" \
            "fallback. Mend the document or the machine, and run this again." >&2
        exit 1
    fi
    return_to "$2" "$1"
}

# return_to VERSION FAILED
return_to() {
    say "$2 did not come up. Returning to $1." >&2
    drop_drafts # they are the other version's
    guard # anew: the first may have been used up
    stop_both
    copy_state "$2"
    bring_documents "$1"
    link_to "versions/$1" "$opt/current"
    if [ -n "$before" ]; then
        link_to "versions/$before" "$opt/previous"
    else
        rm -f "$opt/previous"
    fi
    lay_out switched
    if start_both; then
        say "$1 is in force again. $2 stays in $versions until the next installation." >&2
    else
        say "$1 does not come up either. The chargers are at their fallback:" \
            "journalctl -u loadkeeper -e" >&2
    fi
    rm -f "$switching"
    on_disk "$opt"
    unguard
    exit 1
}

# Something that none of this expects, with its own words above.
fell_short() {
    [ -e "$switching" ] || return 0
    say "This ended half-way; $(id_of current) is what the next start takes. Run it again: it goes" \
        "on from here." >&2
}

# Whoever kills this script between stop and start: systemd starts what `current` names then.
guard() {
    running || return 0
    [ -n "$from" ] && [ -e "$site" ] || return 0
    unguard
    both=loadkeeper.service
    if wants_link; then both="$both loadkeeper-link.service"; fi
    # shellcheck disable=SC2086  # one unit, or two
    systemd-run --quiet --collect --unit=loadkeeper-install-guard --on-active=90 \
        --timer-property=AccuracySec=1 systemctl start $both 2>/dev/null ||
        say "Remark: no guard could be set; do not interrupt this."
}

unguard() {
    running || return 0
    systemctl --quiet stop loadkeeper-install-guard.timer 2>/dev/null || :
    systemctl --quiet reset-failed loadkeeper-install-guard.service 2>/dev/null || :
}

stop_both() {
    running || return 0
    left=
    for unit in loadkeeper-link.service loadkeeper.service; do
        was=$(systemctl show -p ActiveState --value "$unit")
        case $was in
        inactive | '') ;;
        *) systemctl stop "$unit" || : ;; # also one that is only on its way, or between two tries
        esac
        case $was:$(systemctl show -p Result --value "$unit") in
        inactive:* | :* | active:success) left= ;;
        *) left=$unit ;;
        esac
        systemctl reset-failed "$unit" 2>/dev/null || : # our starts are counted from here
    done
    [ -z "$left" ] || rest_pins
}

# rest_pins: a killed enforcer may have left them on, and systemd does not see to it when a unit is
# stopped between two tries.
rest_pins() {
    [ -x "$opt/current/bin/loadkeeper" ] || return 0
    "$opt/current/bin/loadkeeper" rest "$site" --runtime "$runtime" --state "$state" >/dev/null ||
        say "Remark: loadkeeper rest failed. Look whether relays on the gateway's pins are still on."
}

# start_both: up, answering, of this version, and still so a moment later. A broker that does not
# answer is no reason to return, a link that does not run is.
start_both() {
    [ -e "$site" ] || return 0
    # As systemctl enable, which would name this very version.
    mkdir -p "$units/multi-user.target.wants"
    link_to ../loadkeeper.service "$units/multi-user.target.wants/loadkeeper.service"
    if wants_link; then
        link_to ../loadkeeper-link.service "$units/multi-user.target.wants/loadkeeper-link.service"
    else
        rm -f "$units/multi-user.target.wants/loadkeeper-link.service"
        if running; then systemctl stop loadkeeper-link.service 2>/dev/null || :; fi
    fi
    running || return 0
    wanted=$(cat "$opt/current/setup/VERSION")
    deadline=$(($(uptime_s) + up_within_s))
    systemctl start --no-block loadkeeper.service
    until answers "$wanted"; do
        if [ "$(uptime_s)" -ge "$deadline" ] || latched; then
            tell_failure
            return 1
        fi
        sleep 0.5
    done
    starts=$(systemctl show -p NRestarts --value loadkeeper.service)
    if wants_link; then systemctl start --no-block loadkeeper-link.service; fi
    sleep "$steady_s"
    if ! answers "$wanted" ||
        [ "$(systemctl show -p NRestarts --value loadkeeper.service)" != "$starts" ]; then
        tell_failure
        return 1
    fi
    if wants_link && ! systemctl --quiet is-active loadkeeper-link.service; then
        journalctl --no-pager -q -n 20 -u loadkeeper-link.service >&2 || :
        say "loadkeeper-link does not run; what it said last is above." >&2
        return 1
    fi
    write "$opt/document" "$(document_sum)"
}

uptime_s() { cut -d. -f1 /proc/uptime; } # the clock may be set meanwhile

answers() {
    "$opt/current/bin/loadkeeper" status --runtime "$runtime" --json 2>/dev/null |
        tail -n 1 | grep -q "\"version\": *\"$1\""
}

latched() { [ "$(systemctl show -p ActiveState --value loadkeeper.service)" = failed ]; }

tell_failure() {
    journalctl --no-pager -q -n 20 -u loadkeeper.service >&2 || :
    say "loadkeeper does not run; what it said last is above." >&2
}

document_sum() { sha256sum "$site" | cut -d' ' -f1; }

tell_site() {
    if [ ! -e "$site" ]; then
        say "There is no site document yet: write $site (as $etc/site.toml.example shows it)," \
            "try it with: loadkeeper check $site, then run this again:" \
            "$opt/current/setup/install.sh"
    elif ! running; then
        say "systemd does not run here: it starts with the next boot."
    else
        "$command" status --runtime "$runtime" | head -n 4
    fi
}

# prune: the current version and the one before stay, and nothing else.
prune() {
    for folder in "$versions"/*; do
        [ -d "$folder" ] || continue
        case ${folder##*/} in
        "$(id_of current)" | "$(id_of previous)") ;;
        *)
            # Its name goes first: half a folder never looks whole.
            case $folder in *.partial) gone=$folder ;; *)
                gone=$folder.partial
                rm -rf "$gone"
                mv -T "$folder" "$gone"
                ;;
            esac
            rm -rf "$gone"
            ;;
        esac
    done
}
