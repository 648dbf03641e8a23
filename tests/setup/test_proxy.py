# SPDX-License-Identifier: GPL-2.0
"""The host's way to the network reaches apt in the build root, and mmdebstrap."""

import os
import subprocess
import textwrap

import pytest

from guest.row import CLONE

PROXY = "http://proxy.example:3128/"


@pytest.fixture(name="configuration")
def fixture_configuration(tmp_path):
    """A file that is the configuration of the host's apt, which has no other."""
    path = tmp_path / "host.conf"
    path.write_text('Dir::Etc::parts "/dev/null";\nDir::Etc::main "/dev/null";\n')
    return path


def configure(path, *lines):
    """Add lines to a configuration."""
    path.write_text("\n".join([path.read_text(encoding="utf-8"), *lines, ""]), encoding="utf-8")


@pytest.fixture(name="inside")
def fixture_inside(in_root, configuration):
    """A function that runs a command in a root, on a host with these variables."""
    def inside(*command, **variables):
        done = in_root("proxy", *command, **{"APT_CONFIG": str(configuration), **variables})
        assert done.returncode == 0, done.stderr
        return done.stdout
    return inside


def proxies_of(text):
    """The lines of a configuration that are about proxies."""
    return [line for line in text.splitlines() if "roxy" in line]


def test_configuration(inside, configuration):
    """What the host's apt is configured to use."""
    lines = [f'Acquire::http::Proxy "{PROXY}";', 'Acquire::http::Proxy::local.example "DIRECT";',
             'Acquire::https::Proxy "http://other.example:3128/";']
    configure(configuration, "Acquire::http { Timeout 3; };", *lines)
    said = inside("apt-config", "dump")
    assert sorted(proxies_of(said)) == sorted(lines)
    assert 'Acquire::http::Timeout "3";' not in said


def test_variables(inside):
    """What the environment names; nothing else of it gets in."""
    variables = {"http_proxy": PROXY, "https_proxy": PROXY, "no_proxy": "local.example"}
    said = inside("env", **variables, SSL_CERT_FILE="/nowhere")
    assert {f"{name}={value}" for name, value in variables.items()} <= set(said.splitlines())
    assert "SSL_CERT_FILE" not in said


@pytest.mark.parametrize("empty", ["", 'Acquire::http::Proxy "";'], ids=["none", "empty"])
def test_none(inside, configuration, empty):
    """Where there is none, there is none in the root either, and no variable is set."""
    configure(configuration, empty)
    said = inside("sh", "-c", "apt-config dump; env; "
                  "stat -c 'size %s' /etc/apt/apt.conf.d/alloclab-proxy")
    assert proxies_of(said) == []
    assert "size 0" in said.splitlines()


def test_nothing_stays(inside, configuration, tmp_path):
    """The root, which others share, keeps nothing of it."""
    configure(configuration, f'Acquire::http::Proxy "{PROXY}";')
    assert PROXY in inside("cat", "/etc/apt/apt.conf.d/alloclab-proxy")
    kept = subprocess.run(
        ["unshare", "--mount", "sh", "-ec",
         'mount --bind / "$1"; cat "$1/etc/apt/apt.conf.d/alloclab-proxy"', "sh",
         tmp_path / "root"], stdout=subprocess.PIPE, text=True, check=True)
    assert kept.stdout == ""


@pytest.mark.parametrize("answer, wanted", [
    (PROXY, [f'Acquire::http::Proxy "{PROXY}";']), ("DIRECT", ['Acquire::http::Proxy "DIRECT";']),
    ("", []), ('not "one', [])], ids=["proxy", "direct", "silent", "nonsense"])
def test_detected(inside, configuration, tmp_path, answer, wanted):
    """The host has a program that finds the proxy of an address; a root does not have it."""
    program = tmp_path / "detect"
    program.write_text(textwrap.dedent(f"""\
        #!/bin/sh
        echo "$1" >{tmp_path}/asked
        echo '{answer}'
        """))
    program.chmod(0o755)
    configure(configuration, f'Acquire::http::Proxy-Auto-Detect "{program}";')
    assert proxies_of(inside("apt-config", "dump")) == wanted
    assert "://" in (tmp_path / "asked").read_text()


def test_mmdebstrap(tmp_path, configuration):
    """The base system: mmdebstrap's apt reads the new root's configuration, which has it first."""
    configure(configuration, f'Acquire::http::Proxy "{PROXY}";')
    fake = tmp_path / "bin/mmdebstrap"
    fake.parent.mkdir()
    fake.write_text(textwrap.dedent("""\
        #!/bin/bash
        root=${*: -1}
        mkdir -p "$root/etc/apt/apt.conf.d" "$root/etc/apt/sources.list.d"
        echo "deb copy:/nowhere trixie main" >"$root/etc/apt/sources.list"
        for argument; do
            [[ $argument != --setup-hook=* ]] || sh -ec "${argument#*=}" hook "$root" || exit
        done
        cat "$root/etc/apt/apt.conf.d/alloclab-proxy"
        """))
    fake.chmod(0o755)
    root = tmp_path / "root"
    done = subprocess.run(
        ["bash", "-euc", "for part in lib ns archive root proxy; do . scripts/setup/$part.sh; "
         'done; bootstrap arm64 "$1"', "bash", root],
        cwd=CLONE, env={**os.environ, "APT_CONFIG": str(configuration),
                        "PATH": f"{fake.parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines() == [f'Acquire::http::Proxy "{PROXY}";']
    assert (root / "etc/apt/apt.conf.d/alloclab-proxy").read_text() == ""
    assert "trixie-backports" in (root / "etc/apt/sources.list.d/backports.list").read_text()
