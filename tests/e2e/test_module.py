# SPDX-License-Identifier: GPL-2.0
"""The module as a file, and the kernel that it is loaded into."""

import re
import subprocess

import pytest

from lab import STANDARD

BOOT = STANDARD
pytestmark = pytest.mark.wide


def field(path, name):
    """A field of modinfo, one value a line."""
    asked = subprocess.run(["modinfo", "-F", name, path], stdout=subprocess.PIPE, text=True,
                           check=True)
    return asked.stdout.splitlines()


def test_modinfo(row):
    module = row.product("alloclab.ko")
    assert field(module, "license") == ["GPL"]
    assert all(field(module, "author"))
    assert len(field(module, "author")) >= 1
    assert len(field(module, "description")) == 1
    assert field(module, "description")[0].strip()
    # Each with and without what may follow the compatible.
    assert sorted(field(module, "alias")) == [
        "of:N*T*Calloclab,button", "of:N*T*Calloclab,buttonC*",
        "of:N*T*Calloclab,probe", "of:N*T*Calloclab,probeC*",
        "of:N*T*Cyang,mydevice", "of:N*T*Cyang,mydeviceC*",
        *(["spi:probe"] if row.config().get("SPI") == "y" else [])]
    assert field(module, "name") == ["alloclab"]
    assert sorted(text.partition(":")[0] for text in field(module, "parm")) == \
        ["button", "preload_kmalloc", "preload_vmalloc"]


def test_no_tests_in_the_module(row):
    symbols = subprocess.run(["nm", "-a", row.product("alloclab.ko")], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True, check=True).stdout
    assert symbols
    assert "kunit" not in symbols.lower()


@pytest.mark.core
def test_built_for_this_kernel(row, guest):
    module = row.product(f"{guest.driver}.ko")
    assert guest.sh("uname -r").strip() == row.release
    assert field(module, "vermagic")[0].split()[0] == row.release


@pytest.mark.core
def test_what_the_kernel_has(row, guest):
    config = row.config()
    kunit = guest.run("test -d /sys/kernel/debug/kunit").status == 0
    if row.stock:
        # Debian's own kernel has no KUnit: it has to be the unmodified one.
        assert "KUNIT" not in config
        assert not kunit
        assert row.image_is_packaged()
        assert "Debian" in guest.sh("cat /proc/version")
    else:
        assert config["KUNIT"] == "y"
        assert kunit
        assert not row.image_is_packaged()


def has_rust_for(row, option, values):
    """Whether the kernel has drivers in Rust of what an option has: since 7.0 of I2C and USB."""
    version = tuple(map(int, row.release.split(".")[:2]))
    return row.config().get(option) in values and version >= (7, 0)


def has_usb(row):
    """Whether there can be a module for USB devices."""
    return has_rust_for(row, "USB", ["y", "m"])


def test_module_for_usb_is_there_where_it_can_be(row):
    assert row.product("alloclab.ko").with_name("alloclab_usb.ko").exists() == has_usb(row)


@pytest.fixture(name="buses")
def fixture_buses(row, lab):
    """The buses that the driver is on: on others than the platform's the one in C is not."""
    ours = lab.driver == "alloclab"
    there = {"i2c": ours and has_rust_for(row, "I2C", ["y"]),
             "platform": True, "spi": ours and row.config().get("SPI") == "y"}
    return [bus for bus, is_there in there.items() if is_there]


@pytest.mark.ours
def test_bus_that_is_missing_is_told(row, lab, buses):
    said = [line for line in lab.guest.log_since(lab.start) if re.search(r"no \w+ devices: ", line)]
    told = {"i2c": "alloclab: no I2C devices: the kernel has no I2C for drivers in Rust",
            "spi": "alloclab: no SPI devices: the kernel has no SPI",
            "usb": "alloclab: no USB devices: the kernel has no USB for drivers in Rust"}
    # USB has a module of its own.
    there = [*buses, *(["usb"] if has_usb(row) else [])]
    assert said == [line for bus, line in told.items() if bus not in there]


@pytest.mark.core
def test_module_is_known_by_its_name(lab, buses):
    assert lab.guest.sh(f"ls /sys/module/{lab.driver}/drivers").split() == \
        [f"{bus}:alloclab" for bus in buses]
    assert lab.loaded()
    lab.unload()
    assert not lab.loaded()
