# SPDX-License-Identifier: GPL-2.0
"""The guest's file system: busybox, /init and the files of a run."""

import stat
from pathlib import Path

# With /proc this busybox finds its own commands, without links in PATH.
COMMON = r"""#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
export PATH=/bin HOME=/root
/bin/busybox mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t debugfs debugfs /sys/kernel/debug
hostname guest
cd /root
"""

# The second serial port, which /etc/channel names, is the command channel. A request is a line
# with a token and a number of lines, then a script of that many lines. The reply is the
# script's output, both streams, then the token and the status.
CHANNEL = COMMON + r"""
exec 3<>/dev/$(cat /etc/channel) || poweroff -f
# When memory runs out, the channel is to stay.
echo -1000 >/proc/self/oom_score_adj
stty raw -echo <&3
# Commands write to a pipe: to a terminal some of them would write differently.
mkfifo /run/replies
cat /run/replies >&3 &
exec 4>/run/replies
echo "ready 0" >&4
# Not in process 1: what a request has left running is its child then, and when that ends, read is
# interrupted and forgets what it has of the line.
while read -r token lines <&3; do
    script=
    while [ "$lines" -gt 0 ] && IFS= read -r line <&3; do
        script="$script$line
"
        lines=$((lines - 1))
    done
    (echo 0 >/proc/self/oom_score_adj; eval "$script") </dev/null >&4 2>&1 3>&- 4>&-
    echo "$token $?" >&4
done &
wait $!
poweroff -f
"""

TERMINAL = COMMON + r"""
busybox --install -s /bin 2>/dev/null
for module in /root/*.ko; do
    insmod "$module" || echo "init: $module was not loaded"
done
cat /etc/motd
setsid cttyhack sh -l
poweroff -f
"""

# init is a shell and does not know the signal that a plain poweroff sends it.
PROFILE = "alias poweroff='poweroff -f' reboot='poweroff -f' halt='poweroff -f'\n"
DIRECTORIES = ["bin", "dev", "etc", "proc", "root", "run", "sys", "tmp"]
ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/tmp:/bin/sh\n",
    "etc/group": "root:x:0:\nuser:x:1000:\n",
}


class Initramfs:
    """A cpio archive in the kernel's "newc" format, owned by root."""

    def __init__(self):
        self._data = bytearray()
        self._count = 0

    def _add(self, name, mode, content=b"", device=(0, 0)):
        self._count += 1
        fields = [self._count, mode, 0, 0, 1, 0, len(content), 0, 0, *device,
                  len(name) + 1, 0]
        header = "070701" + "".join(f"{field:08x}" for field in fields)
        self._data += header.encode() + name.encode() + b"\0"
        self._data += b"\0" * (-len(self._data) % 4)
        self._data += content
        self._data += b"\0" * (-len(self._data) % 4)

    def directory(self, name, mode=0o755):
        """Add a directory."""
        self._add(name, stat.S_IFDIR | mode)

    def file(self, name, content, mode=0o644):
        """Add a file; `content` is bytes, text or the path of a file to copy."""
        if isinstance(content, Path):
            content = content.read_bytes()
        elif isinstance(content, str):
            content = content.encode()
        self._add(name, stat.S_IFREG | mode, content)

    def link(self, name, target):
        """Add a symbolic link."""
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def console(self):
        """Add /dev/console, which the kernel opens for /init before any mount."""
        self._add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))

    def write(self, path):
        """Finish the archive into `path`."""
        self._add("TRAILER!!!", 0)
        path.write_bytes(self._data)


def build(path, init, busybox, files):
    """Write the initramfs: `init` is CHANNEL or TERMINAL, `files` name -> content."""
    archive = Initramfs()
    for name in DIRECTORIES:
        archive.directory(name, 0o1777 if name == "tmp" else 0o755)
    archive.console()
    archive.file("bin/busybox", busybox, 0o755)
    archive.link("bin/sh", "busybox")
    archive.file("init", init, 0o755)
    for name, content in {**ACCOUNTS, **files}.items():
        archive.file(name, content, 0o755 if name.startswith("bin/") else 0o644)
    archive.write(path)
