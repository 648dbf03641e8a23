# SPDX-License-Identifier: GPL-2.0
"""Systems made of files, as scripts/doctor reads them.

A configuration has the lines that doctor reads, as its distribution publishes them.
"""

import shutil
import struct

GCC = "(gcc (made up) 14.2.0, GNU ld (made up) 2.44)"
RUSTC = "rustc 1.85.1 (4eb161250 2025-03-15) (built from a source tarball)"
METADATA = ["libcore.rmeta", "libkernel.rmeta", "libpin_init.rmeta", "libmacros.so"]

# The package linux-headers-RELEASE of Debian's archive has it as .config.
DEBIAN_6_1 = """CONFIG_LOCALVERSION=""
CONFIG_ARM64_4K_PAGES=y
CONFIG_MODULE_SIG=y
# CONFIG_OF_OVERLAY is not set
CONFIG_SECURITY_LOCKDOWN_LSM=y
"""
DEBIAN_6_12 = DEBIAN_6_1
DEBIAN_7_3 = f"""CONFIG_LOCALVERSION=""
CONFIG_RUST=y
CONFIG_RUSTC_VERSION_TEXT="{RUSTC}"
CONFIG_ARM64_4K_PAGES=y
CONFIG_MODULE_SIG=y
CONFIG_OF_OVERLAY=y
CONFIG_SECURITY_LOCKDOWN_LSM=y
"""
DEBIAN_7_3_AMD64 = f"""CONFIG_LOCALVERSION=""
CONFIG_RUST=y
CONFIG_RUSTC_VERSION_TEXT="{RUSTC}"
CONFIG_MODULE_SIG=y
CONFIG_SECURITY_LOCKDOWN_LSM=y
"""
# The repository raspberrypi/linux, commit fed509012360: arch/arm64/configs/bcm2711_defconfig and
# bcm2712_defconfig, which leave out what is not set. Raspberry Pi OS builds its kernels of them.
RASPBERRYPI_4 = """CONFIG_LOCALVERSION="-v8"
CONFIG_OF_CONFIGFS=y
"""
RASPBERRYPI_5 = """CONFIG_LOCALVERSION="-v8-16k"
CONFIG_ARM64_16K_PAGES=y
CONFIG_OF_CONFIGFS=y
"""
# The repository UbuntuAsahi/linux, commit b0bae03e5494: debian.asahi-arm/config/annotations, the
# one arm64 kernel of Ubuntu's sources that has Rust. OF_OVERLAY is as in Ubuntu's own annotations
# for arm64. MODULE_SIG and the lockdown are assumed.
UBUNTU_ASAHI = """CONFIG_LOCALVERSION=""
CONFIG_RUST=y
CONFIG_RUSTC_VERSION_TEXT="rustc 1.80.1 (3f5fd8dd4 2024-08-06) (built from a source tarball)"
CONFIG_ARM64_16K_PAGES=y
CONFIG_MODULE_SIG=y
CONFIG_OF_OVERLAY=y
CONFIG_SECURITY_LOCKDOWN_LSM=y
"""

OS_RELEASE = {
    "debian": 'PRETTY_NAME="Debian GNU/Linux"\nID=debian\n',
    "raspberrypi": 'PRETTY_NAME="Debian GNU/Linux"\nID=debian\n',
    "ubuntu": "PRETTY_NAME='Ubuntu'\nID=ubuntu\nID_LIKE=debian\n",
    "other": 'NAME="Buildroot"\nID=buildroot\n',
}


def cells(*numbers):
    """A property of cells."""
    return struct.pack(f">{len(numbers)}I", *numbers)


# Numbers are phandles, lines and edges: the button is on line 17 of the GPIO controller.
TREE = {
    "": {"compatible": b"made,up\0", "model": b"A made-up board\0", "interrupt-parent": cells(1)},
    "/intc": {"phandle": cells(1), "interrupt-controller": b"", "#interrupt-cells": cells(3)},
    "/soc": {},
    "/soc/gpio": {"phandle": cells(2), "interrupts": cells(0, 5, 4), "gpio-controller": b"",
                  "#gpio-cells": cells(2), "interrupt-controller": b"",
                  "#interrupt-cells": cells(2)},
    "/uart": {"interrupts": cells(0, 17, 4)},
    "/leds/led": {"gpios": cells(2, 16, 0), "snps,nr-gpios": cells(2)},
    "/button": {"compatible": b"alloclab,button\0", "interrupt-parent": cells(2),
                "interrupts": cells(17, 2)},
    "/__symbols__": {"gpio": b"/soc/gpio\0"},
}


class System:
    """A system below a directory: a board where everything is possible, then changed."""

    def __init__(self, root, distribution="debian", release="7.3.4+deb13-arm64",
                 config=DEBIAN_7_3, arch="aarch64", page=4096):
        self.root = root
        self.release = release
        self.build = f"usr/src/linux-headers-{release}"
        self.base = "sys/firmware/devicetree/base"
        self.write("etc/os-release", OS_RELEASE[distribution])
        if distribution == "raspberrypi":
            self.write("etc/rpi-issue", "Raspberry Pi reference\n")
        self._proc(arch, page)
        self._sys()
        self.write(f"boot/config-{release}", config)
        self.write(f"lib/modules/{release}/modules.dep", "")
        self.headers(config)
        self.metadata()
        self.rustc(RUSTC)

    def _proc(self, arch, page):
        self.write("proc/sys/kernel/arch", f"{arch}\n")
        self.write("proc/sys/kernel/osrelease", f"{self.release}\n")
        self.write("proc/sys/kernel/modules_disabled", "0\n")
        self.write("proc/version", f"Linux version {self.release} {GCC} #1 SMP PREEMPT made up\n")
        self.write("proc/cmdline", "console=ttyS0 root=/dev/mmcblk0p2\n")
        self.write("proc/meminfo", "MemTotal:  1000000 kB\nCmaTotal:    65536 kB\n")
        self.write("proc/filesystems", "nodev\tsysfs\nnodev\tdebugfs\n\text4\n")
        self.write("proc/mounts", "proc /proc proc rw 0 0\n"
                   "debugfs /sys/kernel/debug debugfs rw 0 0\n")
        self.write("proc/modules", "alloclab 131072 0 - Live 0x0000000000000000 (OE)\n")
        # AT_HWCAP, AT_PAGESZ, AT_NULL.
        self.write("proc/self/auxv", struct.pack("<6Q", 16, 6, 6, page, 0, 0))

    def _sys(self):
        self.write("sys/module/module/parameters/sig_enforce", "N\n")
        self.write("sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
        self.write("sys/kernel/debug/devices_deferred", "")
        self.write("sys/kernel/debug/gpio",
                   "gpiochip0: 54 GPIOs, parent: platform/2000.gpio, made-up:\n"
                   " gpio-16  (                    |led                 ) out lo \n"
                   " gpio-17  (                    |interrupt           ) in  hi IRQ \n")
        for path, properties in TREE.items():
            self.node(path, properties)
        self.device("2000.gpio", "/soc/gpio", "made-up-gpio")
        self.device("leds", "/leds", "leds-gpio")
        self.device("button", "/button", "alloclab")

    def write(self, path, content):
        """A file, of text or bytes."""
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def remove(self, *paths):
        """Remove files and directories; each is there."""
        for path in paths:
            path = self.root / path
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def change(self, path, old, new):
        """Change the text of a file, which has the old."""
        text = (self.root / path).read_text(encoding="utf-8")
        assert old in text, (path, old)
        self.write(path, text.replace(old, new))

    def option(self, old, new=""):
        """Change the kernel's configuration, in both places."""
        for path in (f"boot/config-{self.release}", f"{self.build}/.config"):
            self.change(path, old, new)

    def no_config(self):
        """Nothing has the kernel's configuration."""
        self.remove(f"boot/config-{self.release}", f"{self.build}/.config")

    def headers(self, config):
        """The kernel's headers; the link to them is absolute, as packages have it."""
        self.write(f"{self.build}/Makefile", "")
        self.write(f"{self.build}/.config", config)
        self.write(f"{self.build}/include/config/auto.conf", config)
        (self.root / f"lib/modules/{self.release}/build").symlink_to(f"/{self.build}")

    def metadata(self):
        """What a Rust module is built with."""
        for name in METADATA:
            self.write(f"{self.build}/rust/{name}", "")

    def rustc(self, version):
        """A compiler, which says its version and nothing else."""
        self.write("usr/bin/rustc", f"#!/bin/sh\necho '{version}'\n")
        (self.root / "usr/bin/rustc").chmod(0o755)

    def no_headers(self, *besides):
        """Neither headers nor what is in them."""
        self.remove(f"lib/modules/{self.release}/build", self.build, *besides)

    def node(self, path, properties):
        """A node of the device tree, or more of its properties."""
        (self.root / f"{self.base}{path}").mkdir(parents=True, exist_ok=True)
        for name, value in properties.items():
            self.write(f"{self.base}{path}/{name}", value)

    def device(self, name, path, driver=None, bus="platform"):
        """The device of a node."""
        text = f"OF_NAME=made-up\nOF_FULLNAME={path}\n"
        self.write(f"sys/bus/{bus}/devices/{name}/uevent",
                   (f"DRIVER={driver}\n" if driver else "") + text)

    def unbound(self):
        """The button has no driver, and nobody has its line."""
        self.device("button", "/button")
        self.change("sys/kernel/debug/gpio", "|interrupt           ) in  hi IRQ ",
                    "|                    ) in  hi ")

    def unloaded(self):
        """The module is not loaded."""
        self.unbound()
        self.write("proc/modules", "")

    def no_tree(self):
        """A machine without a device tree."""
        self.remove("sys/firmware/devicetree", "sys/bus", "sys/kernel/debug/gpio")
        self.write("sys/firmware/acpi/pm_profile", "2\n")
