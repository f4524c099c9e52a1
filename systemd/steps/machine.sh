# shellcheck shell=sh
# shellcheck disable=SC2154  # names of places.sh
# What lies outside /opt/loadkeeper: users, rules, units and their drop-ins. The units are links
# into the current version, so that they change with it, in the same instant.

# begin: what an interrupted run left half-made goes, and the folders stand.
begin() {
    mkdir -p "$versions"
    for half in "$versions"/*.partial "$states"/*.partial; do
        [ ! -e "$half" ] || rm -rf "$half"
    done
}

# lay_out: the machine as the current version wants it. Changes only what differs.
lay_out() {
    setup=$opt/current/setup
    put "$setup/units/loadkeeper.sysusers" /etc/sysusers.d/loadkeeper.conf 0644
    systemd-sysusers /etc/sysusers.d/loadkeeper.conf
    mkdir -p "$etc"
    put "$setup/site.toml.example" "$etc/site.toml.example" 0644
    put "$setup/units/loadkeeper.tmpfiles" /etc/tmpfiles.d/loadkeeper.conf 0644
    systemd-tmpfiles --create /etc/tmpfiles.d/loadkeeper.conf
    lay_rules
    lay_watchdog
    link_to "$opt/current/bin/loadkeeper" "$command"
    lay_units "$1"
}

lay_rules() {
    was=$laid
    put "$setup/units/60-loadkeeper.rules" /etc/udev/rules.d/60-loadkeeper.rules 0644
    if [ "$laid" = "$was" ] || ! running; then return 0; fi
    if ! udevadm control --reload 2>/dev/null; then
        say "Remark: udev does not run here; serial ports and pins get their groups where it does."
        return
    fi
    udevadm trigger --subsystem-match=tty --subsystem-match=gpio || :
}

# The machine's own watchdog: a Raspberry Pi's takes 15 s at most.
lay_watchdog() {
    was=$laid
    put "$setup/units/10-loadkeeper-watchdog.conf" "$watchdog" 0644
    [ "$laid" != "$was" ] && running || return 0
    systemctl daemon-reexec || say "Remark: the hardware watchdog starts with the next boot."
    [ -e /dev/watchdog ] || [ -e /dev/watchdog0 ] ||
        say "Remark: this machine shows no hardware watchdog; a Raspberry Pi has one."
}

lay_units() {
    mkdir -p "$units"
    was=$laid
    for unit in "$setup"/units/*.service; do
        name=${unit##*/}
        [ "$(readlink "$units/$name" 2>/dev/null)" = "$unit" ] || laid="$laid $name"
        link_to "$unit" "$units/$name"
    done
    # A link to what the current version does not have is of another one.
    for unit in "$units"/loadkeeper*.service; do
        if [ -L "$unit" ] && [ ! -e "$unit" ]; then rm -f "$unit"; fi
    done
    lay_site
    if running && { [ "$laid" != "$was" ] || [ "$1" = switched ]; }; then
        systemctl daemon-reload
    fi
}

# The site's own networks, serial ports and pins.
lay_site() {
    [ -e "$site" ] || return 0
    [ -n "$drafts" ] || draft_site "$command"
    for part in enforcer link; do
        case $part in
        enforcer) name=loadkeeper.service ;;
        link) name=loadkeeper-link.service ;;
        esac
        if [ -e "$drafts/$part" ]; then put "$drafts/$part" "$units/$name.d/site.conf" 0644; fi
    done
    drop_drafts
}

# draft_site PROGRAM: what that version says they are, for lay_site to put in its place. Before a
# version is stopped: Python takes seconds for it on a small machine.
drafts=
draft_site() {
    drop_drafts
    [ -e "$site" ] || return 0
    drafts=$(mktemp -d)
    parts=enforcer
    if wants_link; then parts='enforcer link'; fi
    for part in $parts; do
        if ! "$1" unit "$site" --for "$part" >"$drafts/$part"; then
            rm -f "$drafts/$part"
            say "Remark: loadkeeper unit $site --for $part failed; the drop-in before stays."
        fi
    done
}

drop_drafts() {
    [ -z "$drafts" ] || rm -rf "$drafts"
    drafts=
}

# wants_link: the document names a broker.
wants_link() {
    [ -e "$site" ] && "$opt/current/bin/python" -I -c 'import sys, tomllib
sys.exit("link" not in tomllib.load(open(sys.argv[1], "rb")))' "$site"
}

# remove_all: back to before the first installation; document and state stay unless --purge.
remove_all() {
    say "Stopping: the chargers go to their fail-safe setpoints first, and to their fallback then."
    stop_both
    for unit in "$units"/loadkeeper*.service; do
        [ -L "$unit" ] || continue
        if running; then systemctl --quiet stop "${unit##*/}" || :; fi
        rm -f "$units/multi-user.target.wants/${unit##*/}" "$unit"
    done
    rm -f "$units/loadkeeper.service.d/site.conf" "$units/loadkeeper-link.service.d/site.conf"
    rmdir "$units/loadkeeper.service.d" "$units/loadkeeper-link.service.d" 2>/dev/null || :
    rm -f "$command" /etc/sysusers.d/loadkeeper.conf /etc/tmpfiles.d/loadkeeper.conf \
        /etc/udev/rules.d/60-loadkeeper.rules "$watchdog" \
        "$etc/site.toml.example"
    if running; then systemctl daemon-reload; fi
    # The copies of the state stay with the state.
    [ -n "$purge" ] || [ ! -d "$states" ] || {
        rm -rf "$state/copies"
        cp -a "$states" "$state/copies"
    }
    rm -rf "$opt"
    if [ -z "$purge" ]; then
        say "Removed. $etc and $state stay, and so do the users: for another installation."
        return
    fi
    rm -rf "$etc" "$state" "$link_state"
    for name in loadkeeper loadkeeper-link; do
        ! getent passwd "$name" >/dev/null || userdel "$name" 2>/dev/null || :
        ! getent group "$name" >/dev/null || groupdel "$name" 2>/dev/null || :
    done
    say "Removed, with the site document, its secrets and the state."
}
