#!/bin/sh
# Puts Loadkeeper on this gateway, upgrades it, and returns to the version before.
#
#   install.sh                from this bundle; libraries come from the package index that pip knows
#   install.sh --wheels DIR   the same, libraries from a folder of wheels: no internet is needed
#   install.sh --check        only looks whether all that would work, and changes nothing
#   install.sh --back         returns to the version before
#   install.sh --remove       takes Loadkeeper away; site document and state stay
#   install.sh --remove --purge    and these, too
#
# Run it again at any time: it does what is missing and nothing else. After a change of the site
# document it puts that in force. A copy lies in /opt/loadkeeper/current/setup.
#
# Exit status: 0 done, 1 not done (what stands is said), 2 used wrongly.
set -eu
umask 022
unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_VIRTUALENV CDPATH
LC_ALL=C.UTF-8
export LC_ALL
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

here=$(dirname "$(readlink -f "$0")")
# shellcheck source=systemd/steps/places.sh
. "$here/steps/places.sh"
# shellcheck source=systemd/steps/checks.sh
. "$here/steps/checks.sh"
# shellcheck source=systemd/steps/build.sh
. "$here/steps/build.sh"
# shellcheck source=systemd/steps/machine.sh
. "$here/steps/machine.sh"
# shellcheck source=systemd/steps/state.sh
. "$here/steps/state.sh"
# shellcheck source=systemd/steps/switch.sh
. "$here/steps/switch.sh"

usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "$here/install.sh" >&2
    exit 2
}

task=install wheels='' purge=
while [ $# -gt 0 ]; do
    case $1 in
    --wheels)
        [ $# -ge 2 ] || usage
        wheels=$2
        shift
        ;;
    --check) task=check ;;
    --back) task=back ;;
    --remove) task=remove ;;
    --purge) purge=yes ;;
    *) usage ;;
    esac
    shift
done
[ -z "$purge" ] || [ "$task" = remove ] || usage
case $wheels in '' | /*) ;; *) wheels=$PWD/$wheels ;; esac
cd / # Python also looks for its modules where it is started

only_one
case $task in
check)
    look_at_all
    tell_problems
    try_build
    say "All of it would work. Nothing was changed."
    ;;
install)
    look_at_all
    tell_problems
    begin
    take_version
    switch_to "$taken"
    ;;
back)
    look_at_return
    tell_problems
    go_back
    ;;
remove)
    look_at_removal
    tell_problems
    remove_all
    ;;
esac
