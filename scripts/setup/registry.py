#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""registry.py FILE: prints what a configuration of cargo says of registries and of the network.

The rest of it is about how the host builds, and no secret and no file of the host's is of use in
the build root.
"""

import json
import sys
import tomllib

TABLES = ("source", "registries", "registry", "http", "net")
LEFT_OUT = ("token", "cainfo", "credential-provider", "global-credential-providers",
            "credential-process", "directory", "local-registry")


def lines(table, path):
    """The lines that make a table: `path.key = value`, which TOML allows everywhere."""
    for key, value in table.items():
        # A string of JSON is one of TOML.
        name = f"{path}.{json.dumps(key)}" if path else json.dumps(key)
        if key in LEFT_OUT:
            continue
        if isinstance(value, dict):
            yield from lines(value, name)
        elif isinstance(value, (str, bool, int, list)):
            yield f"{name} = {json.dumps(value)}"


def main(path):
    """Print it."""
    with open(path, "rb") as file:
        configuration = tomllib.load(file)
    for line in lines({name: configuration[name] for name in TABLES if name in configuration}, ""):
        print(line)


if __name__ == "__main__":
    main(sys.argv[1])
