# SPDX-License-Identifier: GPL-2.0
"""QEMU's command line, which nothing else makes: for tests, the demo, `make shell`, the bench."""

from guest import devicetree, initramfs
from guest.machine import busybox_of, machine_of, with_firmware

MEMORY_MB = 512
CPUS = 2
# One instruction a nanosecond; while the guest waits, its clock runs ahead. Processors take turns.
COUNTING = ["-icount", "shift=0,sleep=off,align=off", "-seed", "1",
            "-rtc", "base=2026-01-01,clock=vm"]


def to_file(path):
    """A serial port that leads into a file."""
    return "file:" + str(path).replace(",", ",,")


def merged_tree(machine, overlays, directory, ports=2, memory=MEMORY_MB, cpus=CPUS):
    """The device tree of a machine with so many serial ports, with overlays; below `directory`."""
    return devicetree.merge(machine.options(["null"] * ports, memory, cpus), overlays, directory)


def command_line(row, directory, init, files, ports, *, overlays=(), memory=MEMORY_MB, cpus=CPUS,
                 append="", firmware=False, devices=()):
    """QEMU with the kernel of a row; options may be added. What it reads is put in `directory`.

    `init` and `files` are as for initramfs.build(), `overlays` as for devicetree.merge(); `ports`
    are where the serial ports lead, the console first; the kernel is told `append`, too. With
    `firmware`, that is what starts it. `devices` are plugged into the machine's buses.
    """
    machine = with_firmware(machine_of(row)) if firmware else machine_of(row)
    options = [*machine.options(ports, memory, cpus),
               *(word for device in devices for word in ("-device", device))]
    tree = None
    if machine.tree:
        tree = merged_tree(machine, overlays, directory, len(ports), memory, cpus)
    return boot(row, directory, init, files, options, tree, f"{machine.serial}0", append)


def boot(row, directory, init, files, options, tree, console, append):
    """QEMU with the kernel of a row on any machine; `options` make the machine.

    `tree` is the file of its device tree, or None. `console` is the serial port that the kernel
    logs to.
    """
    initrd = directory / "initrd"
    initramfs.build(initrd, init, busybox_of(row), files)
    # QEMU must not outlive who started it, however that ends.
    return ["setpriv", "--pdeathsig", "KILL", *options, *(["-dtb", str(tree)] if tree else []),
            "-kernel", str(row.image), "-initrd", str(initrd), "-no-reboot",
            "-append", f"console={console} rdinit=/init panic=-1 {append}"]


def strict(row, append):
    """What to append where a guest must end when its kernel complains, and all that it logs counts.
    """
    if row.config().get("SLUB_DEBUG_ON") == "y":
        # KASAN sees the rest, at less cost. Without poison, stale copies of addresses hide leaks.
        append = f"slab_debug=P {append}"
    return f"oops=panic printk.devkmsg=on {machine_of(row).append} {append}"
