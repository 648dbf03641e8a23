# SPDX-License-Identifier: GPL-2.0
"""Test results: cases of all suites, counted once and written as JUnit XML."""

import xml.etree.ElementTree as ElementTree
from typing import NamedTuple

# XML 1.0 knows no other control characters.
ALLOWED = {9, 10, 13}


class Case(NamedTuple):
    """One test: it has passed unless `failure` says why not. There are no skips."""

    suite: str
    name: str
    seconds: float = 0.0
    failure: str = ""
    marks: str = ""         # pytest's, with spaces between them


def printable(text):
    """`text` without what XML cannot carry."""
    return "".join(char if ord(char) >= 32 or ord(char) in ALLOWED else "?" for char in text)


def read(path, suite):
    """The cases of a JUnit file that pytest wrote; a skipped one is a failed one."""
    cases = []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        problems = [f"{child.tag}: {child.get('message', '')}\n{child.text or ''}"
                    for child in case if child.tag in ("failure", "error", "skipped")]
        name = "::".join(part for part in (case.get("classname"), case.get("name")) if part)
        marks = [entry.get("value") for entry in case.iter("property")
                 if entry.get("name") == "marks"]
        cases.append(Case(suite, name, float(case.get("time", 0)), "\n".join(problems),
                          " ".join(marks)))
    return cases


def write(path, cases):
    """Write all cases, a test suite for each suite's name."""
    root = ElementTree.Element("testsuites")
    suites = {}
    for case in cases:
        suites.setdefault(case.suite, []).append(case)
    for element, members in [(root, cases)] + [
            (ElementTree.SubElement(root, "testsuite", name=name), members)
            for name, members in suites.items()]:
        element.set("tests", str(len(members)))
        element.set("failures", str(sum(bool(case.failure) for case in members)))
        element.set("errors", "0")
        element.set("skipped", "0")
        element.set("time", f"{sum(case.seconds for case in members):.3f}")
    for element in root:
        for case in suites[element.get("name")]:
            entry = ElementTree.SubElement(
                element, "testcase", classname=case.suite, name=printable(case.name),
                time=f"{case.seconds:.3f}")
            if case.failure:
                text = printable(case.failure)
                ElementTree.SubElement(entry, "failure",
                                       message=text.strip().split("\n")[0][:200]).text = text
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
