# SPDX-License-Identifier: GPL-2.0
"""The machines that QEMU emulates for the kernels of scripts/kernel/table."""

from pathlib import Path
from typing import NamedTuple, Sequence

# With KASLR, Debian's kernels switch page tables at each system call. QEMU throws away all that it
# knows of addresses then: programs in the guest take half as long again.
KPTI_OFF = "kpti=off"
COMMON = ["-nodefaults", "-net", "none", "-display", "none"]
# UEFI for arm64 without Secure Boot, and its variables; `db` has a key that is public, for tests.
FIRMWARE = ["/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd", "/usr/share/AAVMF/AAVMF_VARS.snakeoil.fd"]


class Machine(NamedTuple):
    """What differs between machines; the first serial port is the console."""

    qemu: Sequence[str]     # the command, but for what is common
    model: str
    serial: str             # the serial ports, a number follows
    tree: bool              # whether it is described by a device tree, which we may change
    tools: str              # how the names of its compiler and binutils begin
    append: str             # of the kernel's command line

    def options(self, ports, memory, cpus):
        """The options that make the machine, with serial `ports` that lead there; the model last.

        Its device tree depends on all of them, but for where the ports lead.
        """
        serial = [word for port in ports for word in ("-serial", port)]
        return [*self.qemu, "-smp", str(cpus), "-m", str(memory), *COMMON, *serial,
                "-M", self.model]


MACHINES = {
    "arm64": Machine(["qemu-system-aarch64", "-cpu", "cortex-a53"], "virt", "ttyAMA", True,
                     "aarch64-linux-gnu-", KPTI_OFF),
    # Without LPAE a kernel reaches nothing above 4 GiB.
    "armhf": Machine(["qemu-system-arm", "-cpu", "cortex-a15"], "virt,highmem=off", "ttyAMA",
                     True, "arm-linux-gnueabihf-", ""),
    "amd64": Machine(["qemu-system-x86_64", "-cpu", "max"], "q35", "ttyS", False,
                     "x86_64-linux-gnu-", ""),
}


def machine_of(row):
    """The machine that runs the kernel of a row."""
    machine = MACHINES[row.arch]
    if row.config().get("ARM64_16K_PAGES") == "y":
        # A Cortex-A53 has no pages of 16 KiB.
        machine = machine._replace(qemu=["qemu-system-aarch64", "-cpu", "cortex-a76"])
    return machine


def with_firmware(machine):
    """The machine for arm64 with UEFI. What that writes into its variables is not kept."""
    flash = [word for file in FIRMWARE
             for word in ("-drive", f"if=pflash,format=raw,snapshot=on,file={file}")]
    # Or it would hand on ACPI's tables in place of the device tree.
    return machine._replace(qemu=[*machine.qemu, *flash], model=f"{machine.model},acpi=off")


def busybox_of(row):
    """The static busybox for a row's guests: the build root's, or one that came with the row."""
    own = row.directory / "busybox"
    return own if own.is_file() else Path(f"/usr/lib/alloclab/busybox-{row.arch}")
