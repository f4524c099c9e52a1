# What ./run and ./test share: can this machine do it, and is .venv built from what lies here?
#
# Read by POSIX sh in the project's root. Talks on standard error; exits 2 when the machine
# lacks something that it may not install. mosquitto is wished for by ./run, which can do with
# the embedded broker; ./test needs it.

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # Debian keeps mosquitto off a user's PATH
extra=dev scratch=
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '%s\n' "$*" >&2; }
give_up() { say "$*"; exit 2; }
has() { command -v "$1" >/dev/null 2>&1; }

# ready EXTRA: .venv holds the libraries of that extra and the kernel built from these sources.
ready() {
    extra=$1
    if built "$1" && has make && has_broker && can_test_all; then return; fi
    [ -w . ] || give_up "$PWD belongs to somebody else: work in a clone of your own."
    [ -w .venv ] || [ ! -e .venv ] || give_up "$PWD/.venv belongs to somebody else: remove it first."
    machine
    build "$1"
}

# A broker for what is to be started: any for ./run, mosquitto for ./test.
has_broker() {
    has mosquitto || { [ "$extra" = rig ] && .venv/bin/python -c 'import iotcore' 2>/dev/null; }
}

# --- the machine -------------------------------------------------------------------------------

machine() {
    scratch=$(mktemp -d)
    look
    if [ -n "$missing" ]; then
        say "Loadkeeper needs, and this machine does not have:$missing$wished"
        say "On Debian 12 or later, Raspberry Pi OS and their kin that is:"
        say "  apt-get install --no-install-recommends$packages$wishes"
        may_install
        install_packages "$packages"
        [ -z "$wishes" ] || (install_packages "$wishes") || true # ends the subshell only
        look
        [ -z "$missing" ] || give_up "Still not there:$missing"
    elif [ -n "$wished" ] && can_install; then
        say "Loadkeeper would like, and this machine does not have:$wished"
        (may_install && install_packages "$wishes") || true
        look
    fi
    [ -z "$wished" ] || say "There is no mosquitto: the embedded MQTT broker takes its place."
    rm -rf "$scratch" # exec, which ends both scripts, runs no trap
}

# Sets python, and names in missing and wished all that is not there, in packages what brings it.
look() {
    missing='' wished='' packages='' wishes=''
    find_python
    if [ -z "$python" ]; then
        lack "Python 3.11 or later" "python3 python3-venv python3-dev"
    fi
    cc=$(compiler_of "$python")
    echo 'int main(void) { return 0; }' >"$scratch/probe.c"
    if ! $cc -o "$scratch/probe" "$scratch/probe.c" >"$scratch/log" 2>&1; then
        lack "a C compiler that works ($cc)" "gcc libc6-dev"
    fi
    if [ -n "$python" ]; then
        has_venv "$python" ||
            lack "venv with ensurepip for $python" "$(package_of "$python" venv)"
        has_headers "$python" ||
            lack "Python.h for $python" "$(package_of "$python" dev)"
    fi
    has make || lack "make" "make"
    if ! has mosquitto; then
        what="mosquitto, the MQTT broker (looked in /usr/sbin, too)"
        if [ "$extra" = rig ]; then
            wished="
  - $what" wishes=" mosquitto"
        else
            lack "$what" "mosquitto"
        fi
    fi
    can_test_all || look_for_tests
}

# Tests that boot a gateway of their own need root; whoever is not root goes without them, and
# without the library of another make that serves Modbus to ours.
can_test_all() {
    [ "${extra-}" = dev ] && [ "$(id -u)" = 0 ] && has apt-get || return 0
    has debootstrap && has systemd-nspawn && has ip && has nsenter &&
        has qemu-aarch64-static && has aarch64-linux-gnu-gcc && has_libmodbus
}

has_libmodbus() { ldconfig -p 2>/dev/null | grep -q 'libmodbus\.so\.5 '; }

look_for_tests() {
    has debootstrap || lack "debootstrap, for the gateway bench" "debootstrap"
    has systemd-nspawn || lack "systemd-nspawn, for the gateway bench" "systemd-container"
    has qemu-aarch64-static || lack "qemu for arm64, to test on it" "qemu-user-static"
    has aarch64-linux-gnu-gcc || lack "a C compiler for arm64" "gcc-aarch64-linux-gnu"
    has_libmodbus || lack "libmodbus, whose servers ours is tried against" "libmodbus5"
    has ip || lack "ip, for the gateway bench" "iproute2"
    has nsenter || lack "nsenter, for the gateway bench" "util-linux"
}

lack() {
    missing="$missing
  - $1"
    for package in $2; do
        case "$packages " in
        *" $package "*) ;;
        *) packages="$packages $package" ;;
        esac
    done
}

# The first complete Python that is new enough; where none is complete, the first new enough.
find_python() {
    python=
    for name in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        # A pyenv shim can exist and not work, so each is asked; a venv's is traced to its base.
        found=$("$name" -I -c 'if True:
            import sys
            print(getattr(sys, "_base_executable", sys.executable))
            sys.exit(sys.version_info < (3, 11))' 2>/dev/null) || continue
        [ -n "$python" ] || python=$found
        if has_venv "$found" && has_headers "$found"; then
            python=$found
            return
        fi
    done
}

has_venv() { "$1" -I -c 'import ensurepip, venv' 2>/dev/null; }

has_headers() {
    include=$("$1" -I -c 'import sysconfig; print(sysconfig.get_path("include"))') || return 1
    [ -r "$include/Python.h" ] || return 1
    cc=$(compiler_of "$1")
    if has "${cc%% *}"; then
        echo '#include <Python.h>' >"$scratch/header.c"
        $cc "-I$include" -c -o "$scratch/header.o" "$scratch/header.c" 2>"$scratch/log"
    fi
}

# The compiler that setuptools will call for that Python.
compiler_of() {
    echo "${CC:-$("$1" -I -c 'import sysconfig
print(sysconfig.get_config_var("CC").split()[0])' 2>/dev/null || echo cc)}"
}

# package_of PYTHON PART: a system Python by its version; any other is replaced by the system's.
package_of() {
    case $1 in
    "$(readlink -f /usr/bin/python3)" | /usr/bin/python3) echo "python3-$2" ;;
    /usr/bin/python3.*) echo "${1#/usr/bin/}-$2" ;;
    *) echo "python3 python3-venv python3-dev" ;;
    esac
}

# Whether packages can be installed here without asking anybody, or somebody is there to ask.
can_install() {
    has apt-get && { [ "$(id -u)" = 0 ] || { has sudo && [ -t 0 ] && [ -t 2 ]; }; }
}

# Sets as_root; asks, where somebody is there to answer.
may_install() {
    has apt-get || give_up "There is no apt-get here: look for your system's packages of these
(Fedora: python3-devel gcc make mosquitto; Arch: python gcc make mosquitto), then start again."
    can_install || give_up "Install them, then start again."
    as_root=
    [ "$(id -u)" != 0 ] || return 0
    as_root=sudo
    printf 'Install them now with sudo? [y/N] ' >&2
    read -r answer || answer=
    case $answer in
    y | Y | yes) ;;
    *) give_up "Nothing was installed." ;;
    esac
}

# install_packages PACKAGES
install_packages() {
    say "Installing."
    # shellcheck disable=SC2086 # both are lists of words
    {
        $as_root apt-get -qq update || say "The package lists could not be renewed; trying with the old ones."
        $as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get -qq install --no-install-recommends $1 </dev/null
    } >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; give_up "Not installed:$1."; }
}

# --- .venv -------------------------------------------------------------------------------------

# What .venv is built from: the recipe, the kernel's sources, and this place.
sources() { { pwd; cat pyproject.toml setup.py cext/*.p[yx][xd]; } | cksum; }

built() {
    .venv/bin/python -c 'import pip' 2>/dev/null || return 1
    now=$(sources)
    for extra in dev "$1"; do
        [ "$(cat ".venv/ready-$extra" 2>/dev/null)" != "$now" ] || return 0
    done
    return 1
}

build() {
    now=$(sources) # before, so that a source edited meanwhile is built again next time
    if ! .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        say "Making .venv with $python."
        rm -rf .venv
        "$python" -m venv .venv || give_up "$python could not make .venv."
    fi
    rm -f .venv/ready-*
    say "Installing the libraries into .venv and building the kernel (the first time takes a minute)."
    .venv/bin/python -c 'import tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
        >.venv/build-requires.txt
    pip_install -r .venv/build-requires.txt
    with=$1
    has mosquitto || [ "$1" != rig ] || with=rig,broker
    pip_install --no-build-isolation -e ".[$with]"
    echo "$now" >".venv/ready-$1"
}

# Says nothing unless it fails. Uses the machine's own pip configuration.
pip_install() {
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@" \
        >.venv/install.log 2>&1 </dev/null || {
        cat .venv/install.log >&2
        give_up "pip could not install $*: see above."
    }
}
