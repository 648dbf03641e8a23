# SPDX-License-Identifier: GPL-2.0
"""scripts/doctor on systems made of files: ten of them, and each verdict of each check."""

import functools
import gzip
import json
import re
import struct
import subprocess

import pytest

from archive import run, series
from guest.row import CLONE
from systems import (DEBIAN_6_1, DEBIAN_6_12, DEBIAN_7_3_AMD64, RASPBERRYPI_4, RASPBERRYPI_5,
                     UBUNTU_ASAHI, System, cells)

BUILDING, LOADING, PRESSING = 1, 2, 4
EVERYTHING = BUILDING | LOADING | PRESSING
MISSING, UNKNOWN = "missing", "cannot tell"
EFI = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
DOC = CLONE / "doc/doctor.md"
TOOLS = ["awk", "cat", "find", "grep", "head", "readlink", "sed", "sort", "tail", "tr"]


@functools.cache
def shells():
    """The shells that it runs in, the second one with no other programs than its own."""
    architecture = run("dpkg", "--print-architecture").strip()
    return {"dash": (["dash"], None),
            "busybox": ([f"/usr/lib/alloclab/busybox-{architecture}", "sh"], {"PATH": ""})}


def ask(root, *options, shell="dash"):
    """Have doctor look at a system; return what it printed and its status."""
    command, environment = shells()[shell]
    done = subprocess.run([*command, CLONE / "scripts/doctor", f"--root={root}", *options],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False, env=environment)
    assert done.stderr == ""
    return done.stdout, done.returncode


def look(root, shell="dash"):
    """What doctor says of a system as JSON: the checks by name, and its status."""
    text, status = ask(root, "--json", shell=shell)
    said = json.loads(text)
    assert said["status"] == status
    return {check["name"]: check for check in said["checks"]}, status


def not_ok(checks):
    """The verdicts that are not ok."""
    return {name: check["verdict"] for name, check in checks.items() if check["verdict"] != "ok"}


def raspberrypi(root, number, **options):
    """Raspberry Pi OS as it is installed."""
    system = System(root, "raspberrypi", page=16384 if number == 5 else 4096, **options)
    system.unloaded()
    system.remove("usr/bin/rustc", f"{system.build}/rust", f"{system.base}/button",
                  "sys/bus/platform/devices/button", "sys/module/module",
                  "sys/kernel/security/lockdown")


def raspberrypi_4(root):
    """Raspberry Pi OS on a Pi 4."""
    raspberrypi(root, 4, release="6.12.47+rpt-rpi-v8", config=RASPBERRYPI_4)


def raspberrypi_5(root):
    """Raspberry Pi OS on a Pi 5, with pages of 16 KiB."""
    raspberrypi(root, 5, release="6.12.47+rpt-rpi-2712", config=RASPBERRYPI_5)


def debian_12(root):
    """Debian 12 with a compiler; the kernel has no Rust."""
    system = System(root, release="6.1.0-50-arm64", config=DEBIAN_6_1)
    system.unloaded()
    system.no_headers()
    system.rustc("rustc 1.63.0")


def debian_13(root):
    """Debian 13 with headers; the kernel has no Rust."""
    system = System(root, release="6.12.117+deb13-arm64", config=DEBIAN_6_12)
    system.unloaded()
    system.remove("usr/bin/rustc", f"{system.build}/rust")


def debian_13_backports(root):
    """Debian 13 with the backports kernel, its headers and its rustc; the module came by copy."""
    system = System(root)
    system.remove(f"{system.build}/rust")


def ubuntu_arm64(root):
    """Ubuntu's kernel with Rust, without the library."""
    system = System(root, "ubuntu", "6.12.0-1001-asahi-arm", UBUNTU_ASAHI, page=16384)
    system.rustc("rustc 1.80.1 (3f5fd8dd4 2024-08-06) (built from a source tarball)")
    system.remove(f"{system.build}/rust")
    system.unloaded()


def laptop(root):
    """Debian 13 with the backports kernel on a laptop with Secure Boot."""
    system = System(root, release="7.3.4+deb13-amd64", config=DEBIAN_7_3_AMD64, arch="x86_64")
    system.no_tree()
    system.no_headers("usr/bin/rustc")
    system.write("proc/modules", "")
    system.write("proc/meminfo", "MemTotal:  16000000 kB\nCmaTotal:          0 kB\n")
    system.write(EFI, bytes([6, 0, 0, 0, 1]))
    system.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")


def another_rustc(root):
    """A board where everything is there, but another rustc."""
    System(root).rustc("rustc 1.95.0 (59807616e 2026-04-14)")


def no_debugfs(root):
    """A board whose kernel was told to have no debugfs."""
    system = System(root)
    system.change("proc/cmdline", "\n", " debugfs=off\n")
    system.change("proc/filesystems", "nodev\tdebugfs\n", "")
    system.change("proc/mounts", "debugfs /sys/kernel/debug debugfs rw 0 0\n", "")
    system.remove("sys/kernel/debug")


def node_without_driver(root):
    """A board with everything but the module."""
    System(root).unloaded()


NO_KERNEL = {"kernel": MISSING, "rust": MISSING}
TEN = {
    raspberrypi_4: ({**NO_KERNEL, "rustc": MISSING, "metadata": MISSING, "node": MISSING,
                     "module": MISSING}, EVERYTHING),
    raspberrypi_5: ({**NO_KERNEL, "rustc": MISSING, "metadata": MISSING, "node": MISSING,
                     "module": MISSING}, EVERYTHING),
    debian_12: ({**NO_KERNEL, "rustc": UNKNOWN, "headers": MISSING, "metadata": MISSING,
                 "overlays": MISSING, "module": MISSING}, EVERYTHING),
    debian_13: ({**NO_KERNEL, "rustc": MISSING, "metadata": MISSING, "overlays": MISSING,
                 "module": MISSING}, EVERYTHING),
    debian_13_backports: ({"metadata": MISSING}, BUILDING),
    ubuntu_arm64: ({"kernel": MISSING, "metadata": MISSING, "module": MISSING}, EVERYTHING),
    laptop: ({"rustc": MISSING, "headers": MISSING, "metadata": MISSING, "cma": MISSING,
              "secure-boot": MISSING, "lockdown": MISSING, "device-tree": MISSING,
              "symbols": UNKNOWN, "overlays": MISSING, "node": MISSING, "module": MISSING},
             EVERYTHING),
    another_rustc: ({"rustc": MISSING}, BUILDING),
    no_debugfs: ({"debugfs": MISSING}, 0),
    node_without_driver: ({"module": MISSING}, PRESSING),
}


@pytest.mark.parametrize("shell", ["dash", "busybox"])
@pytest.mark.parametrize("make", TEN, ids=lambda make: make.__name__)
def test_ten_systems(tmp_path, make, shell):
    """Each has its verdicts, in both shells."""
    make(tmp_path)
    checks, status = look(tmp_path, shell)
    assert (not_ok(checks), status) == TEN[make]
    if make is raspberrypi_5:
        assert checks["page-size"]["found"] == "16384 bytes"


def waiting(system, deferred="", supplier="0\n"):
    """The module is loaded and the button is not bound."""
    system.unbound()
    system.write("sys/kernel/debug/devices_deferred", deferred)
    system.write("sys/bus/platform/devices/button/waiting_for_supplier", supplier)


def secure(system, lockdown="none", enforce="N"):
    """Secure Boot is on."""
    system.write(EFI, bytes([6, 0, 0, 0, 1]))
    words = ["none", "integrity", "confidentiality"]
    system.write("sys/kernel/security/lockdown", " ".join(
        f"[{word}]" if word == lockdown else word for word in words) + "\n")
    system.write("sys/module/module/parameters/sig_enforce", f"{enforce}\n")


def other(name, was, now):
    """A change of a file."""
    return lambda system: system.change(name, was, now)


def removed(*paths):
    """The removal of files."""
    return lambda system: system.remove(*paths)


def written(name, text):
    """A file with a text."""
    return lambda system: system.write(name, text)


def both(*changes):
    """Several changes."""
    return lambda system: [change(system) for change in changes]


def off(option):
    """An option that is not set."""
    return lambda system: system.option(f"CONFIG_{option}=y\n")


def told(check, verdict, words, status=0, also=None):
    """What a change comes to: a check's verdict, None for ok, words of what it found, and the
    verdicts of others.
    """
    return {**(also or {}), **({check: verdict} if verdict else {})}, check, words, status


DEPMOD = written("lib/modules/7.3.4+deb13-arm64/modules.dep", "updates/alloclab.ko:\n")
BASE = "sys/firmware/devicetree/base"
AUTO = "usr/src/linux-headers-7.3.4+deb13-arm64/include/config/auto.conf"
RUST = "usr/src/linux-headers-7.3.4+deb13-arm64/rust"
NO_CONFIG = {"rust": UNKNOWN, "rustc": UNKNOWN, "metadata": UNKNOWN, "overlays": UNKNOWN}
SYMBOLS = "ffff T start_kernel\nffff T rust_helper_mutex_lock\nffff T of_overlay_fdt_apply\n"
# What is changed in the board where everything is possible, and what comes of it. Where several
# checks look at one file, they are all named.
CHANGES = {
    "i686": (written("proc/sys/kernel/arch", "i686\n"),
             told("architecture", MISSING, "i686", EVERYTHING)),
    "riscv64": (written("proc/sys/kernel/arch", "riscv64\n"),
                told("architecture", UNKNOWN, "never run")),
    "no-arch": (removed("proc/sys/kernel/arch"), told("architecture", UNKNOWN, "does not say")),
    "armv6": (written("proc/sys/kernel/arch", "armv6l\n"),
              told("architecture", MISSING, "armv6l", EVERYTHING)),
    "armv7": (written("proc/sys/kernel/arch", "armv7l\n"), told("architecture", None, "armv7l")),
    "no-release": (removed("proc/sys/kernel/osrelease"),
                   told("kernel", UNKNOWN, "no release", BUILDING, {
                       "configuration": UNKNOWN, **NO_CONFIG, "headers": UNKNOWN,
                       "metadata": MISSING})),
    "no-config": (System.no_config, told("configuration", UNKNOWN, "neither", 0, NO_CONFIG)),
    "no-rust": (off("RUST"), told("rust", MISSING, "/boot/config-", EVERYTHING)),
    "no-config-symbols": (both(System.no_config, written("proc/kallsyms", SYMBOLS)),
                          told("configuration", UNKNOWN, "neither", 0,
                               {"rustc": UNKNOWN, "metadata": UNKNOWN})),
    "no-config-no-rust": (both(System.no_config, written(
        "proc/kallsyms", SYMBOLS.replace("rust", "c").replace("of_overlay", "overlay"))),
                          told("rust", MISSING, "/proc/kallsyms", EVERYTHING, {
                              "configuration": UNKNOWN, "rustc": UNKNOWN, "metadata": UNKNOWN,
                              "overlays": MISSING})),
    "no-rustc": (removed("usr/bin/rustc"), told("rustc", MISSING, "there is none", BUILDING)),
    "broken-rustc": (written("usr/bin/rustc", "#!/bin/sh\nexit 1\n"),
                     told("rustc", UNKNOWN, "does not run")),
    "no-headers": (System.no_headers, told("headers", MISSING, "/lib/modules/", BUILDING,
                                           {"metadata": MISSING})),
    "no-metadata": (removed(f"{RUST}/libkernel.rmeta"),
                    told("metadata", MISSING, "libkernel.rmeta is not there", BUILDING)),
    "other-metadata": (other(AUTO, "rustc 1.85.1", "rustc 1.86.0"),
                       told("metadata", MISSING, "another rustc", BUILDING)),
    "unknown-metadata": (written(AUTO, ""), told("metadata", UNKNOWN, "nothing says")),
    "64k": (written("proc/self/auxv", struct.pack("<4Q", 6, 65536, 0, 0)),
            told("page-size", UNKNOWN, "65536 bytes")),
    "page-size-of-32-bits": (written("proc/self/auxv", struct.pack("<6I", 16, 6, 6, 4096, 0, 0)),
                             told("page-size", None, "4096 bytes")),
    "page-size-of-the-configuration": (both(removed("proc/self"), lambda system: system.option(
        "CONFIG_ARM64_4K_PAGES", "CONFIG_ARM64_16K_PAGES")),
                                       told("page-size", None, "16384 bytes")),
    "no-page-size": (both(removed("proc/self"), off("ARM64_4K_PAGES")),
                     told("page-size", UNKNOWN, "does not say")),
    "no-cma": (other("proc/meminfo", "65536", "0"), told("cma", MISSING, "no area")),
    "kernel-without-cma": (other("proc/meminfo", "CmaTotal", "Other"),
                           told("cma", MISSING, "no area")),
    "no-meminfo": (removed("proc/meminfo"), told("cma", UNKNOWN, "/proc/meminfo")),
    "debugfs-not-mounted": (other("proc/mounts", "/sys/kernel/debug ", "/mnt "),
                            told("debugfs", MISSING, "not mounted")),
    "debugfs=no-mount": (other("proc/cmdline", "\n", " debugfs=no-mount\n"),
                         told("debugfs", MISSING, "debugfs=no-mount")),
    "kernel-without-debugfs": (both(other("proc/mounts", "debugfs", "tmpfs"), other(
        "proc/filesystems", "debugfs", "tmpfs")), told("debugfs", MISSING, "has none")),
    "no-filesystems": (removed("proc/mounts", "proc/filesystems"),
                       told("debugfs", UNKNOWN, "/proc/filesystems")),
    "preempt-rt": (other("proc/version", "PREEMPT", "PREEMPT_RT"),
                   told("hard-context", MISSING, "PREEMPT_RT")),
    "no-version": (removed("proc/version"), told("hard-context", UNKNOWN, "/proc/version", 0,
                                                 {"interrupt-threads": UNKNOWN})),
    "no-cmdline": (removed("proc/cmdline"),
                   told("interrupt-threads", UNKNOWN, "/proc/cmdline")),
    "threadirqs": (other("proc/cmdline", "\n", " threadirqs\n"),
                   told("interrupt-threads", None, "forced by threadirqs")),
    "secure-boot-locked": (lambda system: secure(system, "confidentiality"),
                           told("secure-boot", MISSING, "signed", LOADING | PRESSING,
                                {"lockdown": MISSING})),
    "secure-boot-enforced": (lambda system: secure(system, enforce="Y"),
                             told("signatures", MISSING, "sig_enforce", LOADING | PRESSING,
                                  {"secure-boot": MISSING})),
    "secure-boot-alone": (secure, told("secure-boot", None, "takes unsigned")),
    "secure-boot-off": (written(EFI, bytes([6, 0, 0, 0, 0])),
                        told("secure-boot", None, "off")),
    "secure-boot-unknown": (written("sys/firmware/efi/systab", ""),
                            told("secure-boot", UNKNOWN, "cannot be read")),
    "secure-boot-unsure": (both(secure, removed("sys/kernel/security")),
                           told("secure-boot", UNKNOWN, "not known", 0, {"lockdown": UNKNOWN})),
    "enforced": (written("sys/module/module/parameters/sig_enforce", "Y\n"),
                 told("signatures", MISSING, "sig_enforce", LOADING | PRESSING)),
    "no-sig-enforce": (removed("sys/module/module/parameters"),
                       told("signatures", UNKNOWN, "sig_enforce")),
    "kernel-without-signatures": (both(removed("sys/module/module/parameters"),
                                       off("MODULE_SIG")),
                                  told("signatures", None, "knows none")),
    "locked": (written("sys/kernel/security/lockdown", "none [integrity] confidentiality\n"),
               told("lockdown", MISSING, "integrity", LOADING | PRESSING)),
    "no-securityfs": (removed("sys/kernel/security"),
                      told("lockdown", UNKNOWN, "cannot be read")),
    "kernel-without-lockdown": (both(removed("sys/kernel/security"),
                                     off("SECURITY_LOCKDOWN_LSM")),
                                told("lockdown", None, "has none")),
    "no-tree": (System.no_tree, told("device-tree", MISSING, "not described", PRESSING,
                                     {"symbols": UNKNOWN, "node": MISSING})),
    "no-sys": (removed("sys/firmware"), told(
        "device-tree", UNKNOWN, "/sys", 0,
        {"symbols": UNKNOWN, "node": UNKNOWN, "secure-boot": UNKNOWN})),
    "no-symbols": (removed(f"{BASE}/__symbols__"), told("symbols", MISSING, "has none")),
    "no-overlays": (off("OF_OVERLAY"), told("overlays", MISSING, "CONFIG_OF_OVERLAY")),
    "no-node": (removed(f"{BASE}/button"), told("node", MISSING, "there is none", PRESSING)),
    "other-node": (written(f"{BASE}/button/compatible", "alloclab,buttons\0"),
                   told("node", MISSING, "there is none", PRESSING)),
    "tutorial-node": (written(f"{BASE}/button/compatible", "x,y\0yang,mydevice\0"),
                      told("node", None, "/button: line 17 of /soc/gpio, falling edge, bound")),
    "extended": (both(removed(f"{BASE}/button/interrupts"), written(
        f"{BASE}/button/interrupts-extended", cells(2, 17, 1))),
                 told("node", None, "/button: line 17 of /soc/gpio, rising edge, bound")),
    "disabled": (written(f"{BASE}/button/status", "disabled\0"),
                 told("node", MISSING, "/button is disabled", PRESSING)),
    "no-interrupts": (removed(f"{BASE}/button/interrupts"),
                      told("node", MISSING, "has no interrupts", PRESSING)),
    "both-edges": (written(f"{BASE}/button/interrupts", cells(17, 3)),
                   told("node", MISSING, "both edges", PRESSING)),
    "short": (written(f"{BASE}/button/interrupts", cells(17)),
              told("node", MISSING, "1 cells", PRESSING)),
    "no-controller": (removed(f"{BASE}/soc/gpio/interrupt-controller"),
                      told("node", MISSING, "/soc/gpio is none", PRESSING)),
    "no-phandle": (written(f"{BASE}/button/interrupt-parent", cells(9)),
                   told("node", MISSING, "no interrupt controller", PRESSING)),
    "disabled-controller": (written(f"{BASE}/soc/status", "disabled\0"),
                            told("node", MISSING, "/soc/gpio is disabled", PRESSING)),
    "no-device": (removed("sys/bus/platform/devices/button"),
                  told("node", MISSING, "no device", PRESSING)),
    "unbound": (waiting, told("node", MISSING, "/button: it is not bound", PRESSING)),
    "a-second-is-disabled": (lambda system: system.node("/bell", {
        "compatible": b"alloclab,button\0", "status": b"disabled\0"}),
                             told("node", MISSING, "/bell is disabled")),
    "waits": (lambda system: waiting(system, "button\talloclab: interrupts: waits for /x\n"),
              told("deferred", MISSING, "button: alloclab: interrupts: waits for /x", PRESSING)),
    "waits-for-a-supplier": (lambda system: waiting(system, supplier="1\n"),
                             told("deferred", MISSING, "a supplier", PRESSING)),
    "waits-or-is-refused": (both(waiting, removed("sys/kernel/debug/devices_deferred")),
                            told("deferred", UNKNOWN, "devices_deferred cannot be read")),
    "not-loaded": (System.unloaded, told("module", MISSING, "not loaded", PRESSING)),
    "loads-none": (both(System.unloaded, written("proc/sys/kernel/modules_disabled", "1\n")),
                   told("module", MISSING, "none any more", LOADING | PRESSING)),
    "kernel-without-modules": (both(System.unloaded, removed("proc/modules")),
                               told("module", MISSING, "CONFIG_MODULES", LOADING | PRESSING)),
    "no-list-of-modules": (both(System.unloaded, removed("proc/modules", "sys/module")),
                           told("module", UNKNOWN, "/proc/modules", 0, {"signatures": UNKNOWN})),
    "loaded-by-hand": (written("etc/modules", "alloclab\n"), told(
        "module", None, "loaded by hand: depmod knows no alloclab")),
    "loaded-at-boot": (both(DEPMOD, written("etc/modules-load.d/alloclab.conf", "alloclab\n")),
                       told("module", None, "loaded by /etc/modules-load.d/alloclab.conf")),
    "loaded-by-alias": (both(DEPMOD, written(
        "lib/modules/7.3.4+deb13-arm64/modules.alias",
        "alias of:N*T*Calloclab,buttonC* alloclab\n")),
                        told("module", None, "loaded by its alias")),
    "loaded-by-nobody": (DEPMOD, told("module", None, "loaded by hand: nothing else asks for it")),
}


@pytest.mark.parametrize("change, expected", CHANGES.values(), ids=list(CHANGES))
def test_changes(tmp_path, change, expected):
    """A board where everything is possible, changed: these lines change, and no others."""
    verdicts, check, words, status = expected
    change(System(tmp_path))
    checks, said = look(tmp_path)
    assert (not_ok(checks), said) == (verdicts, status)
    assert words in checks[check]["found"]


def summary(root):
    """The last line: whether building, loading and pressing are possible."""
    last = ask(root)[0].splitlines()[-1]
    return re.fullmatch("building: (.*); loading: (.*); pressing: (.*)", last).groups()


def test_what_is_possible(tmp_path):
    """In the board that is changed elsewhere, and where a check cannot tell."""
    system = System(tmp_path)
    checks, status = look(tmp_path)
    assert (not_ok(checks), status) == ({}, 0)
    assert summary(tmp_path) == ("possible", "possible", "possible")
    system.write("usr/bin/rustc", "#!/bin/sh\nexit 1\n")
    system.remove("sys/kernel/security")
    # What is loaded could be loaded.
    assert summary(tmp_path) == (UNKNOWN, "possible", "possible")
    waiting(system)
    system.remove("sys/kernel/debug/devices_deferred")
    assert summary(tmp_path) == (UNKNOWN, "possible", UNKNOWN)
    system.write("proc/modules", "")
    assert summary(tmp_path) == (UNKNOWN, UNKNOWN, "not possible")
    system.write("sys/module/module/parameters/sig_enforce", "Y\n")
    assert summary(tmp_path) == (UNKNOWN, "not possible", "not possible")


KEY = {"gpios": cells(2, 17, 0)}
FREE = " gpio-17  (                    |                    ) in  hi \n"
HELD = " gpio-17  (                    |{:20}) {} hi {}\n"
IN_PARTS = cells(2, 16, 0, 0, 2, 17, 0)
# Other nodes with their properties, the driver of the first one, what debugfs says of the line
# (None if it cannot be read), and what comes of it.
LINES = {
    "key": ({"/keys/key": KEY}, "gpio-keys", HELD.format("key", "in ", "IRQ "),
            MISSING, "belongs to /keys/key (driver gpio-keys)"),
    "key-without-debugfs": ({"/keys/key": KEY}, "gpio-keys", None,
                            MISSING, "belongs to /keys/key (driver gpio-keys)"),
    "key-without-driver": ({"/keys/key": KEY}, None, FREE,
                           UNKNOWN, "/keys/key names line 17 of /soc/gpio too and may take"),
    "key-without-both": ({"/keys/key": KEY}, None, None,
                         UNKNOWN, "/keys/key names line 17 of /soc/gpio too and may take"),
    "key-that-reads": ({"/keys/key": KEY}, "gpio-keys", HELD.format("key", "in ", ""),
                       UNKNOWN, "/keys/key (driver gpio-keys) names line 17"),
    "program": ({}, None, HELD.format("sysfs", "out", ""),
                MISSING, 'belongs to "sysfs" (/sys/kernel/debug/gpio)'),
    "program-that-reads": ({}, None, HELD.format("gpiomon", "in ", ""), None, "nobody else"),
    "disabled": ({"/keys/key": {**KEY, "status": b"disabled\0"}}, None, None, None, "nobody else"),
    "all-disabled": ({"/keys": {"status": b"disabled\0"}, "/keys/key": KEY}, None, None,
                     None, "nobody else"),
    "second": ({"/keys/key": {"key-gpios": IN_PARTS}}, "gpio-keys", None,
               MISSING, "/keys/key (driver gpio-keys)"),
    "other-line": ({"/keys/key": {"gpios": cells(2, 16, 17)}}, "gpio-keys", None,
                   None, "nobody else"),
    "other-controller": ({"/keys/key": {"interrupts-extended": cells(1, 0, 2, 17)}}, "x", None,
                         None, "nobody else"),
    "interrupt": ({"/keys/key": {"interrupt-parent": cells(2), "interrupts": cells(17, 1)}}, "x",
                  None, MISSING, "belongs to /keys/key"),
    "inherited": ({"/keys": {"interrupt-parent": cells(2)}, "/keys/key": {
        "interrupts": cells(17, 1)}}, "x", None, MISSING, "belongs to /keys/key"),
    "extended": ({"/keys/key": {"interrupts-extended": cells(1, 0, 5, 4, 2, 17, 1)}}, "x", None,
                 MISSING, "belongs to /keys/key"),
    "hog": ({"/soc/gpio/hog": {"gpio-hog": b"", "gpios": cells(17, 0), "output-high": b""}}, None,
            None, MISSING, "belongs to /soc/gpio/hog"),
    "hog-that-reads": ({"/soc/gpio/hog": {"gpio-hog": b"", "gpios": cells(17, 0), "input": b""}},
                       None, None, None, "nobody else"),
}


@pytest.mark.parametrize("loaded", [False, True], ids=["not-loaded", "loaded"])
@pytest.mark.parametrize("nodes, driver, gpio, verdict, words", LINES.values(), ids=list(LINES))
def test_lines(tmp_path, loaded, nodes, driver, gpio, verdict, words):
    """Who else has the line of a button that is not bound."""
    system = System(tmp_path)
    system.unbound()
    if not loaded:
        system.write("proc/modules", "")
    for path, properties in nodes.items():
        system.node(path, properties)
    if "/keys/key" in nodes:
        system.device("keys", "/keys", driver)
    if gpio is None:
        system.remove("sys/kernel/debug/gpio")
    else:
        system.change("sys/kernel/debug/gpio", FREE, gpio)
    checks, status = look(tmp_path)
    expected = {"line": verdict} if verdict else {}
    if not loaded:
        expected["module"] = MISSING
    elif not verdict:
        # Nothing else is wrong, so the driver must have said why.
        expected["node"] = MISSING
    assert not_ok(checks) == expected
    assert words in checks["line"]["found"]
    assert status == (PRESSING if MISSING in expected.values() else 0)


def test_line_in_the_numbers_of_older_kernels(tmp_path):
    """There, lines are numbered over all chips."""
    system = System(tmp_path)
    system.unbound()
    system.write("sys/kernel/debug/gpio",
                 "gpiochip1: GPIOs 500-511, parent: i2c/1-0020, expander:\n"
                 " gpio-505 (                    |reset               ) out hi \n\n"
                 "gpiochip0: GPIOs 512-565, parent: platform/2000.gpio, made-up:\n"
                 " gpio-529 (ID_SD               |w1                  ) out hi \n")
    checks, _ = look(tmp_path)
    assert not_ok(checks) == {"line": MISSING}
    assert checks["line"]["found"].endswith('belongs to "w1" (/sys/kernel/debug/gpio)')


KERNELS = {"6.12.90": MISSING, "5.15.0-91-generic": MISSING, "6.18.15": None, "6.19.2": UNKNOWN,
           "7.0.13": None, "7.3.4+deb13-rt-arm64": None, "7.4.0-rc1": UNKNOWN, "10.0.1": UNKNOWN}


@pytest.mark.parametrize("release, verdict", KERNELS.items(), ids=list(KERNELS))
def test_kernels(tmp_path, release, verdict):
    """Those that are tested, older ones, and others."""
    System(tmp_path, release=release)
    checks, status = look(tmp_path)
    assert not_ok(checks) == ({"kernel": verdict} if verdict else {})
    assert status == (EVERYTHING if verdict == MISSING else 0)


def test_kernels_are_those_of_the_table():
    """What doctor takes for tested is what scripts/kernel/tested has."""
    source = (CLONE / "scripts/doctor").read_text(encoding="utf-8")
    lines = (CLONE / "scripts/kernel/tested").read_text(encoding="utf-8").splitlines()
    tested = {series(line.split()[1]) for line in lines if line.strip() and line[0] != "#"}
    said = re.search(r"^SERIES='(.*)'$", source, re.MULTILINE)[1].split()
    assert set(said) == tested
    assert said == sorted(said, key=lambda text: [int(part) for part in text.split(".")])
    oldest = re.findall(r"^OLDEST_M\w+=(\d+)$", source, re.MULTILINE)
    assert ".".join(oldest) == said[0]


@pytest.mark.parametrize("shell", ["dash", "busybox"])
def test_configuration_of_the_running_kernel(tmp_path, shell):
    """/proc/config.gz is the first that is looked at."""
    system = System(tmp_path)
    text = (tmp_path / f"boot/config-{system.release}").read_bytes()
    system.no_config()
    system.write("proc/config.gz", gzip.compress(text))
    checks, _ = look(tmp_path, shell)
    assert not_ok(checks) == {}
    assert checks["configuration"]["found"] == "/proc/config.gz"


def worst(root, distribution):
    """A system that lacks about everything that has words of its own for a distribution."""
    system = System(root, distribution, "6.1.0")
    system.unloaded()
    system.no_config()
    system.no_headers()
    system.remove("usr/bin/rustc", f"{system.base}/button", f"{system.base}/__symbols__")
    system.write("proc/meminfo", "MemTotal: 1 kB\n")
    system.change("proc/mounts", "/sys/kernel/debug", "/mnt")
    system.change("proc/version", "PREEMPT", "PREEMPT_RT")
    secure(system, "integrity", "Y")
    system.write("proc/kallsyms", "ffff T start_kernel\n")


# What to do is the same everywhere, or nearly.
SAME_FOR_ALL = {"debugfs", "headers", "module", "page-size", "symbols"}


def test_remedies(tmp_path):
    """Each distribution has its own words, and another one general ones."""
    remedies = {}
    for distribution in ("debian", "raspberrypi", "ubuntu", "other"):
        worst(tmp_path / distribution, distribution)
        checks, status = look(tmp_path / distribution)
        text, _ = ask(tmp_path / distribution, "--json")
        assert json.loads(text)["system"] == distribution
        assert status == EVERYTHING
        for name, check in checks.items():
            assert bool(check["remedy"]) == (check["verdict"] != "ok"), check
        remedies[distribution] = {name: check["remedy"] for name, check in checks.items()
                                  if check["remedy"]}
        assert not re.search("  |\\.$|\\bRaspberry Pi OS\\b.*Debian 12", str(checks))
    assert len(remedies["other"]) >= 15
    for name, remedy in remedies["other"].items():
        assert not re.search("apt |trixie|/boot/firmware|linux-image", remedy), remedy
        others = {remedies[distribution][name] for distribution in remedies}
        assert name in SAME_FOR_ALL or len(others) >= 3, name


def verdicts_expected():
    """Which checks are expected to have which verdicts in these tests and in those of guests."""
    seen = {("press", MISSING), ("press", UNKNOWN)}
    for verdicts, *_ in [*TEN.values(), *(expected for _, expected in CHANGES.values())]:
        seen |= set(verdicts.items())
    seen |= {("line", verdict) for *_, verdict, _ in LINES.values()}
    seen |= {("kernel", verdict) for verdict in KERNELS.values()}
    return {(name, verdict) for name, verdict in seen if verdict}


def test_documentation_has_each_check(tmp_path):
    """Its table has the checks in their order, with the verdicts that the tests expect."""
    System(tmp_path)
    rows = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| ([^|]+) \| ([^|]+) \|$",
                      DOC.read_text(encoding="utf-8"), re.MULTILINE)
    checks, _ = look(tmp_path)
    assert [name for name, *_ in rows] == [*checks, "press"]
    told_of = {(name, verdict) for name, *cells_of in rows
               for verdict, cell in zip((MISSING, UNKNOWN), cells_of) if cell != "–"}
    assert told_of == verdicts_expected()


@pytest.mark.parametrize("reader", ["od", "hexdump", None])
def test_tools(tmp_path, reader):
    """No other programs than these are needed, and one of two."""
    system = System(tmp_path / "system")
    tools = tmp_path / "tools"
    tools.mkdir()
    busybox = shells()["busybox"][0][0]
    for name in [*TOOLS, *([reader] if reader else [])]:
        (tools / name).symlink_to(busybox)
    done = subprocess.run(["/usr/bin/dash", CLONE / "scripts/doctor", "--json",
                           f"--root={system.root}"], env={"PATH": str(tools)}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if reader:
        assert done.stderr == ""
        assert {check["verdict"] for check in json.loads(done.stdout)["checks"]} == {"ok"}
    else:
        assert (done.returncode, done.stdout) == (64, "")
        assert done.stderr.startswith("doctor: there is neither od nor hexdump: ")


def test_command():
    """What is not an option is refused, and nothing is looked at."""
    for wrong in ("--jsonn", "--wait=x", "--wait=", "--root=", "--root=/nowhere", "press"):
        done = subprocess.run(["dash", CLONE / "scripts/doctor", wrong], check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert (done.returncode, done.stdout) == (64, ""), wrong
        assert done.stderr.startswith(f"doctor: {wrong}: ")


def test_prints_what_json_says(tmp_path):
    """A line a check, then what is possible."""
    debian_12(tmp_path)
    checks, status = look(tmp_path)
    text, again = ask(tmp_path, "--no-press")
    *lines, last = text.splitlines()
    assert again == status
    assert lines == [
        f"{check['verdict']:12} {name}: {check['found']}" +
        (f". To do: {check['remedy']}." if check["remedy"] else "")
        for name, check in checks.items()]
    assert last == "building: not possible; loading: not possible; pressing: not possible"
