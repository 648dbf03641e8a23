#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make canary: builds and tests with kernels that this tree does not name yet.

They are the newest of the archive's backports and, where they are newer, the sources of its next
suites. For each, a copy of the tree names that version. Lists of packages, sources and kernels
lie in out/canary, so no other run is changed; only the preferred version is made where every run
makes it. Leaves out/canary/canary.json. The status is 0 if all was built and passed, 1 if
something did not, 2 if nothing could be fetched.
"""

import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

from guest.row import CLONE
from kernel.trial import Trial, ask, newer, now, prefer, say, step, tested, upstream

OUT = CLONE / "out/canary"
CACHE = OUT / "cache"
NORMAL_CACHE = Path(os.environ["ALLOCLAB_CACHE"])
SUITE = ask("bash", "-c", ". scripts/setup/archive.sh; echo $SUITE")
BACKPORTS = f"{SUITE}-backports"
NEXT_SUITES = ["testing", "unstable", "experimental"]
COUNTS = re.compile(r"(\d+) passed, (\d+) failed")
INTERFACE = re.compile(r"--cfg[= ]['\"]?(has_\w+)")


def apt_files():
    """The files with apt's sources."""
    shown = ask("apt-config", "shell", "list", "Dir::Etc::sourcelist/f", "parts",
                "Dir::Etc::sourceparts/d")
    known = dict(re.findall(r"(\w+)='(.*)'", shown))
    parts = Path(known.get("parts", "/nowhere"))
    return [Path(known["list"]), *sorted(parts.glob("*.list")), *sorted(parts.glob("*.sources"))]


def sources(suite):
    """apt's sources for a suite, from those for backports: (text, ending of the file's name)."""
    for path in apt_files():
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if path.suffix == ".list":
            found = [line for line in text.splitlines()
                     if re.match(rf"deb(-src)? .*[^ ] +{BACKPORTS} ", line)
                     and (suite == BACKPORTS or line.startswith("deb-src "))]
            entries = "\n".join(line.replace(f" {BACKPORTS} ", f" {suite} ") for line in found)
        else:
            found = [stanza for stanza in re.split(r"\n\s*\n", text)
                     if re.search(rf"^Suites:.*\b{BACKPORTS}\b", stanza, re.M)]
            types = "deb deb-src" if suite == BACKPORTS else "deb-src"
            entries = "\n\n".join(re.sub("^Types:.*", f"Types: {types}", re.sub(
                "^Suites:.*", f"Suites: {suite}", stanza, flags=re.M), flags=re.M)
                for stanza in found)
        if found:
            return entries + "\n", path.suffix
    return "", ".list"


def apt_for(suite):
    """Variables with which apt knows this suite alone, with lists of its own."""
    directory = OUT / "apt" / suite
    for part in ("lists/partial", "cache/archives/partial"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    entries, ending = sources(suite)
    (directory / f"sources{ending}").write_text(entries, encoding="utf-8")
    usual = os.environ.get("APT_CONFIG")
    (directory / "apt.conf").write_text(
        (Path(usual).read_text(encoding="utf-8") if usual else "")
        + f'Dir::Etc::sourcelist "{directory}/sources{ending}";\n'
          'Dir::Etc::sourceparts "/dev/null";\n'
          f'Dir::State::lists "{directory}/lists";\n'
          f'Dir::Cache "{directory}/cache";\n'
          'Acquire::AllowReleaseInfoChange "true";\n', encoding="utf-8")
    return {"APT_CONFIG": str(directory / "apt.conf")}


def newest(suite, environment):
    """The newest version of the kernel that a suite has; empty if it has none."""
    if suite == BACKPORTS:
        return ask("scripts/kernel/resolve.sh", "newest", "backports",
                   environment=environment).partition(" ")[0]
    return ask("bash", "-c", ". scripts/setup/archive.sh; source_versions | sort -rVu | head -n 1",
               environment=environment)


def rows():
    """The first stock and the first own row of the table that are from backports: (name, kind)."""
    found = {}
    for line in (CLONE / "scripts/kernel/table").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#") and line.split()[2:3] == ["backports"]:
            name, kind = line.split()[:2]
            found.setdefault(kind, name)
    return [(found[kind], kind) for kind in ("stock", "own") if kind in found]


class Candidate:
    """A version of the kernel that is tried."""

    def __init__(self, suite, version, environment, preferred):
        self.suite = suite
        self.version = version
        self.cache = NORMAL_CACHE if version == preferred else CACHE
        self.trial = Trial(OUT / suite, {**environment, "ALLOCLAB_CACHE": str(self.cache),
                                         "ALLOCLAB_RUN": str(OUT / suite / "out/run")})
        self.rows = rows()
        source = "backports"
        if suite != BACKPORTS:
            # The source alone: a row of its series.
            source = re.match(r"\d+\.\d+", version)[0]
            self.rows = [row for row in self.rows if row[1] == "own"]
            path = self.trial.directory / "scripts/kernel/table"
            path.write_text(re.sub(r"^(\S+\s+own\s+)backports\b", rf"\g<1>{source}",
                                   path.read_text(encoding="utf-8"), flags=re.M),
                            encoding="utf-8")
        if version != preferred:
            prefer(self.trial.directory, source, version, now(), "-", only=True)

    def fetched(self):
        """Whether the kernel's source is there."""
        return any(path.is_dir() and path.suffix != ".tmp"
                   for path in self.cache.glob(f"sources/{self.version}-*"))

    def _known(self, row):
        """What scripts/kernel/kernel.sh has written about the finished kernel."""
        for path in self.cache.glob(f"kernels/{row}-*/row"):
            known = dict(line.split("=", 1) for line in path.read_text().splitlines())
            if known["VERSION"] == self.version:
                return known
        return {}

    def _complaint(self):
        """(The log of the step that failed, its first lines that say why.)"""
        logs = sorted((self.trial.directory / "out/log").glob("*.log"),
                      key=lambda path: path.stat().st_mtime)
        if not logs:
            return "", []
        lines = logs[-1].read_text(encoding="utf-8", errors="replace").splitlines()
        telling = [line for line in lines if re.search(r"\berror\b|\binterface\b|^E: ", line)]
        return str(logs[-1].relative_to(CLONE)), (telling or lines[-5:])[:10]

    def interfaces(self, row):
        """The forms of the kernel crate's interfaces that the module was built for, or None."""
        path = self.trial.directory / "out/build" / row / "interfaces.rsp"
        return set(INTERFACE.findall(path.read_text(encoding="utf-8"))) if path.is_file() else None

    def run(self, row, kind):
        """Build for a row and, if the kernel is ours, run KUnit there; return what came of it."""
        say(f"canary: {self.suite}, {self.version}, row {row}")
        start = time.monotonic()
        task = ["build", row] if kind == "stock" else ["kunit", row]
        ended_well, output = self.trial.run("scripts/task.sh", *task)
        counts = COUNTS.fullmatch(output[-1]) if kind == "own" and output else None
        kunit = dict(zip(("passed", "failed"), map(int, counts.groups()))) if counts else None
        built = (self.trial.directory / "out/build" / row / "alloclab.ko").is_file()
        if kind == "own":
            ended_well = ended_well and bool(kunit and kunit["passed"] and not kunit["failed"])
        log, complaint = ("", []) if ended_well else self._complaint()
        return {"suite": self.suite, "row": row, "kind": kind, "version": self.version,
                "release": self._known(row).get("RELEASE"),
                "rustc": ask("rustc", "--version").split()[1], "fetched": self.fetched(),
                "built": built, "kunit": kunit, "passed": ended_well and built,
                "log": log, "complaint": complaint,
                "seconds": round(time.monotonic() - start, 1)}


def forget_others(versions):
    """Remove what earlier runs have left of versions that are not tried any more."""
    for part in ("kernels", "sources", "debs"):
        for path in (CACHE / part).glob("*"):
            row = path / "row"
            named = (re.search("^VERSION=(.*)", row.read_text(), re.M)[1] if row.is_file()
                     else path.name)
            if path.is_dir() and not any(named == version or named.startswith(f"{version}-")
                                         for version in versions):
                shutil.rmtree(path)


def interface_of(form):
    """The interface that a form is of: has_NAME_FORM, with a file rust/compat/NAME.rs."""
    names = [path.stem for path in CLONE.glob("rust/compat/*.rs")
             if form.startswith(f"has_{path.stem}_")]
    return max(names, key=len, default=form.removeprefix("has_"))


def compare(results, known):
    """Add to the results each interface that differs from the preferred kernel's, and say it."""
    for result in results:
        mine = result.pop("cfg")
        base = known.get(result["row"], known.get(rows()[0][0]))
        result["interfaces"] = None
        if mine is None or base is None:
            continue
        differ = result["interfaces"] = {}
        for what, forms in (("new", mine - base), ("gone", base - mine)):
            for form in sorted(forms):
                entry = differ.setdefault(interface_of(form), {"new": [], "gone": []})
                entry[what].append(form)
        for name, entry in differ.items():
            say(f"canary: {result['version']}, row {result['row']}: interface {name}: "
                f"{', '.join(entry['new']) or 'none'} in place of "
                f"{', '.join(entry['gone']) or 'none'}")


def preferred_interfaces(preferred):
    """The interfaces of the preferred kernel, for the stock row, where it can be had."""
    row, _ = rows()[0]
    trial = Trial(OUT / "preferred", {"ALLOCLAB_RUN": str(OUT / "preferred/out/run")})
    say(f"canary: the preferred {preferred}, to compare with")
    trial.run("scripts/task.sh", "build", row)
    path = trial.directory / "out/build" / row / "interfaces.rsp"
    return {row: set(INTERFACE.findall(path.read_text()))} if path.is_file() else {}


def candidates(preferred):
    """Ask the archive; return (what is to be tried, what each suite has answered)."""
    found, asked, best = [], {}, preferred
    for suite in (BACKPORTS, *NEXT_SUITES):
        environment = apt_for(suite)
        answered = step(f"archive: {suite}", "apt-get", "-q", "update",
                        "-o", "APT::Update::Error-Mode=any", environment=environment)
        version = newest(suite, environment) if answered else ""
        tried = bool(version) and (suite == BACKPORTS or newer(upstream(version), upstream(best)))
        asked[suite] = {"answered": answered, "newest": version or None, "tried": tried}
        if tried:
            best = version
            found.append(Candidate(suite, version, environment, preferred))
        elif version:
            say(f"canary: {suite} has {version}, which is not newer")
        elif answered:
            say(f"canary: {suite} has no complete kernel")
    return found, asked


def main():
    """Try what there is; return the exit status."""
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "canary.json").unlink(missing_ok=True)
    CACHE.mkdir(exist_ok=True)
    preferred = next(version for source, version, *_ in tested() if source == "backports")
    tried, asked = candidates(preferred)
    forget_others([candidate.version for candidate in tried])
    new = sum(candidate.cache == CACHE for candidate in tried)
    if new:
        say(f"canary: for {new} kernels that are not the preferred one, up to {300 * new} MB are "
            f"downloaded and {4 * new} GB of disk used in out/canary.")
    results, known = [], {}
    for candidate in tried:
        for row, kind in candidate.rows:
            result = candidate.run(row, kind)
            result["cfg"] = candidate.interfaces(row)
            if candidate.version == preferred and result["cfg"] is not None:
                known[row] = result["cfg"]
            results.append(result)
    if not known and any(result["cfg"] is not None for result in results):
        known = preferred_interfaces(preferred)
    compare(results, known)
    if not any(result["fetched"] for result in results):
        status = 2
    else:
        passed = all(result["passed"] for result in results)
        status = 0 if passed and asked[BACKPORTS]["tried"] else 1
    (OUT / "canary.json").write_text(json.dumps(
        {"preferred": preferred, "suites": asked, "kernels": results, "status": status},
        indent=1) + "\n", encoding="utf-8")
    for result in results:
        kunit = result["kunit"]
        say(f"canary: {result['suite']}, {result['version']}, row {result['row']}: "
            + ("built" if result["built"] else "NOT BUILT" if result["fetched"] else "NOT FETCHED")
            + (f", KUnit {kunit['passed']} passed, {kunit['failed']} failed" if kunit else "")
            + ("" if result["passed"] else f"; see {result['log']}"))
    say("canary: " + ("all built and passed", "something did not build or pass",
                      "nothing could be fetched")[status] + "; out/canary/canary.json")
    return status


if __name__ == "__main__":
    sys.exit(main())
