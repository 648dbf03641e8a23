# SPDX-License-Identifier: GPL-2.0
"""A load that fails after devices were bound: no file that was opened meanwhile outlives it.

The driver core binds the devices, which makes the files, and then allocates for the links between
module and driver. When that fails, the kernel frees the module, whoever uses it.
"""

import re

from lab import DEBUGFS, STANDARD
from sweep import GIVES_UP, KMEMLEAK, Sweep, Table

# The kernels it is for, and about how many seconds it takes there in quick scale; None: full alone.
RUNS = {"debug": None}
BOOT = STANDARD._replace(name="failed-load", cpus=2)
# Where the driver core allocates after it has bound the devices.
LATE = "module_add_driver"
# Of the device that is bound first.
FILES = {"stats": f"{DEBUGFS}/interrupt/stats", "device": "/dev/alloclab/interrupt"}
# What is said last.
REFUSED = r"alloclab: the ((?:I2C |SPI )?driver) cannot be registered: (\w+)"
# Opens a file soon after it is there, and closes it a second later, when the module is gone.
READER = ("(while [ ! -e /run/stop ]; do {{ sleep 1; }} <{path} || usleep 5000; done) "
          "2>/run/refused.{name} &")


def test_files_are_not_opened_before_the_load_has_succeeded(guest, lab, count):
    guest.expected.append(GIVES_UP)
    lab.unload()
    sweep = Sweep(guest, Table())
    # Of pages, a failure may do no harm: then the module is loaded, and is not loaded again.
    sweep.arrange("failslab", KMEMLEAK, only=sweep.range(LATE))
    readers = " ".join(READER.format(name=name, path=path) for name, path in FILES.items())
    guest.sh(f"rm -f /run/stop; {readers}")
    # The last load, of which nothing fails, succeeds.
    failed = sweep.run("load with a reader", "failslab", "load /root/alloclab.ko")
    # So that no reader has a file open.
    guest.sh("touch /run/stop; sleep 3")
    sweep.off()
    refused = {name: int(guest.sh(f"grep -c 'No such device or address' /run/refused.{name}; true"))
               for name in FILES}
    drivers = set()
    for site in failed:
        # Of a directory that cannot be made in sysfs, the driver core makes EINVAL.
        assert site.error in ("ENOMEM", "EINVAL"), site
        said = re.fullmatch(REFUSED, site.log[-1])
        assert said and said[2] == site.error, site
        drivers.add(said[1])
        assert any(line.startswith("alloclab button: ready: ") for line in site.log), site
    # The button's, and those of the buses, which are registered after it.
    assert drivers == {"driver", "I2C driver", "SPI driver"}
    # While the devices were bound, each reader has tried.
    assert failed and all(refused.values()), refused
    lab.button().software_press(2)
    lab.unload()
    count("sites_failed", len(failed))
