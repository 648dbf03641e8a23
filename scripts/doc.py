#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""doc.py CHECK PAGE FILE...: compares the tables of a page of doc/ with the code; for make check.

Both sides become rows of text. What differs is shown as a diff from the code to the page, and the
status is 1.
"""

import ast
import difflib
import json
import re
import sys
from pathlib import Path

from ruamel.yaml import YAML

NONE = "–"
# The fragment of a kernel that torture tests call debug: see Row.variety in scripts/guest/row.py.
DEBUG = "debug.config"
# What the schemas of the buses say of a device on them.
OF_BUSES = ("reg", "spi-max-frequency")
# How a path in the text begins.
TOP = ("doc", "dts", "rust", "scripts", "src", "tests", "upstream")


def read(path):
    """The text of a file."""
    return Path(path).read_text(encoding="utf-8")


def cells(line):
    """The cells of a table's row."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def tables(page):
    """The tables of a page: (header, rows)."""
    found = []
    for lines in re.findall(r"(?:^\|.*\n)+", read(page), re.M):
        header, _, *rows = lines.splitlines()
        found.append((cells(header), [cells(row) for row in rows]))
    return found


def table(page, *columns):
    """The rows of the tables that have these columns, these alone, without code marks."""
    rows = [[row[header.index(column)].replace("`", "") for column in columns]
            for header, rows in tables(page) if set(columns) <= set(header) for row in rows]
    if not rows:
        sys.exit(f"{page}: no table with the columns {', '.join(columns)}")
    return rows


def compare(page, code, said):
    """Print what differs between the rows of the code and those of the page; return whether."""
    old, new = ([" | ".join(row) for row in rows] for rows in (code, said))
    lines = list(difflib.unified_diff(old, new, "the code", page, n=0, lineterm=""))
    print("\n".join(line for line in lines if not line.startswith("@@")), end="\n" if lines else "")
    return bool(lines)


def closing(text, start):
    """The place behind the bracket that closes the one at `start`."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] in "([{") - (text[place] in ")]}")
        if not depth:
            return place + 1
    sys.exit(f"no end of {text[start:start + 40]}")


def parts(text):
    """The parts of a list, which commas divide that are in no bracket."""
    found, depth = [""], 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        if char == "," and not depth:
            found.append("")
        else:
            found[-1] += char
    return [part.strip() for part in found if part.strip()]


def rust(path):
    """The text of a Rust file without comments."""
    return re.sub(r"//.*", "", read(path))


def constants(text):
    """The constants of Rust code: name -> value; those of an impl as Type::NAME."""
    found = {}
    bodies = [("", text)]
    for match in re.finditer(r"^impl (\w+) \{", text, re.M):
        start = match.end() - 1
        bodies.append((f"{match[1]}::", text[start:closing(text, start)]))
    for prefix, body in bodies:
        for match in re.finditer(r"\bconst (\w+): [^=;]+ =\s*", body):
            end = match.end()
            while body[end] != ";":
                end = closing(body, end) if body[end] in "([{" else end + 1
            value = body[match.end():end].strip()
            found[prefix + match[1]] = re.sub(r"\bSelf\b", prefix.removesuffix("::"), value)
    return found


class Methods:
    """What the code says of the methods."""

    def __init__(self, gfp, table_file, *files):
        self.dispatch = rust(table_file)
        # By the directory's name too: rust/ and src/method/ may have files of one name.
        self.files = {"/".join(Path(path).with_suffix("").parts[-2:]): rust(path)
                      for path in files}
        self.words = {}
        self.known = constants(rust(gfp))
        for kind, body in re.findall(r"^words! \{\s+(\w+):(.*?)^\}", rust(gfp), re.M | re.S):
            named = dict(re.findall(r"(\w+) = \"(\w+)\"", body))
            prefix = "+" if kind == "Modifier" else ""
            self.words |= {f"{kind}::{word}": prefix + name for word, name in named.items()}
            self.known[f"{kind}::ALL"] = "&[" + ",".join(f"{kind}::{w}" for w in named) + "]"
        for stem, text in self.files.items():
            own = constants(text)
            # The constants of one method's file are its own.
            self.known |= {f"{stem}.{name}": value for name, value in own.items()}
            self.known |= {name: value for name, value in own.items() if "::" in name}

    def value(self, text, name):
        """A field of a struct in the code of a method's file, or of the constant that it is."""
        while True:
            for place in (f"{name}.{text}", f"rust/limits.{text}", text):
                if place in self.known:
                    text = self.known[place]
                    break
            else:
                return text

    def field(self, text, field, name):
        """The value of a field of a struct; of a struct that is like another one, its."""
        body = self.value(text, name)
        own = parts(body[body.index("{") + 1:closing(body, body.index("{")) - 1])
        for part in own:
            key, _, value = part.partition(":")
            if key == field:
                return self.value(value.strip(), name)
            if part.startswith(".."):
                return self.field(part[2:], field, name)
        return sys.exit(f"{name}: no {field} in {body}")

    def flags(self, text, field, name):
        """The words of one of the lists of flags: word -> since which kernel, or nothing."""
        text = self.value(text, name)
        if not text.startswith("&["):
            # As in Takes::SLAB.bases.
            other = re.fullmatch(r"([\w:]+)\.(\w+)", text)
            return self.flags(self.field(*(other.groups() if other else (text, field)), name),
                              field, name)
        found = {}
        for part in parts(text[2:-1]):
            since = re.match(r"#\[cfg\(kernel_(\d+)_(\d+)\)\]\s*", part)
            word = self.words[part[since.end():] if since else part]
            found[word] = f"{since[1]}.{since[2]}" if since else ""
        return found

    def size(self, text, name):
        """A size in words: bytes, pages or records."""
        text = self.value(text, name)
        unit = re.fullmatch(r"(?:(\d+) \* )?(PAGE_SIZE|size_of::<Record>\(\))", text)
        if unit:
            number = int(unit[1] or 1)
            what = "page" if unit[2] == "PAGE_SIZE" else "record"
            return f"{number} {what}{'s' if number > 1 else ''}"
        shifted = re.fullmatch(r"(\d+)(?: << (\d+))?", text)
        return str(int(shifted[1]) << int(shifted[2] or 0)) if shifted else text

    def largest(self, text, name):
        """A limit by the name that messages have for it; one of our own with its bytes."""
        told = re.search(r"\"(.*)\"", text)[1]
        place = re.search(r"\|\| (?:\w+(?:::|\.))*(\w+)\)$", text)
        number = place and re.search(rf"\b{place[1]}: (?:usize = )?(\d+)", self.files[name])
        return f"{told}, {number[1]}" if number else told

    def rows(self):
        """A row for each method, in the order of the table."""
        for file in re.findall(r"^ +(\w+)::\w+,$", self.dispatch, re.M):
            file = f"method/{file}"
            name = re.search(r"const NAME: .* = \"(\w+)\"", self.files[file])[1]
            rules = constants(self.files[file])["RULES"]
            sleeps = self.field(rules, "sleeps", file) != "None"
            flags = {word: since for what in ("bases", "modifiers") for word, since
                     in self.flags(self.field(rules, "takes", file), what, file).items()}
            yield [name, self.size(self.field(rules, "default_size", file), file),
                   self.largest(self.field(rules, "limit", file), file),
                   "thread" if sleeps else "thread, hard",
                   self.field(rules, "zeroes", file).rpartition("::")[2].lower(),
                   self.shown(flags)]

    def shown(self, flags):
        """Flags in the order of the code."""
        return " ".join(word + (f" (from {flags[word]})" if flags[word] else "")
                        for word in self.words.values() if word in flags)

    def expand(self, text, sets):
        """The flags that a cell of the page means: sets and words, then `not` and others."""
        found, takes = {}, True
        for word, since in re.findall(r"([^\s,]+)(?: \(from ([\d.]+)\))?", text):
            words = sets.get(word, {word: since})
            if word == "not":
                takes = False
            elif takes:
                found |= words
            else:
                unknown = words.keys() - found.keys()
                if unknown:
                    sys.exit(f"not {' '.join(unknown)}: it is not in the set")
                found = {key: value for key, value in found.items() if key not in words}
        unknown = found.keys() - set(self.words.values())
        return f"unknown words: {' '.join(unknown)}" if unknown else self.shown(found)


def check_methods(page, *files):
    """The methods: name, order, sizes, contexts, zeroing, flags."""
    methods = Methods(*files)
    sets = {name: dict(re.findall(r"(\S+)(?: \(from ([\d.]+)\))?", f"{bases} {modifiers}"))
            for name, bases, modifiers in table(page, "set", "bases", "modifiers")}
    said = [[*row[:-1], methods.expand(row[-1], sets)] for row in
            table(page, "method", "default size", "largest size", "context", "zeroed", "flags")]
    return compare(page, list(methods.rows()), said)


def keys(text):
    """The keys of the `key: value` lines that Rust code writes, and those in its tables."""
    return {"".join(key) for key in
            re.findall(r"(?:\"|\\n)([a-z_]+): |^ +\(\"([a-z_]+)\", ", text, re.M)}


def check_debugfs(page, control, report):
    """The files of a device's directory: name, order and mode; the keys in two of them."""
    shown = {name: re.search(rf"^fn show_{name}\(.*?^\}}", rust(control), re.M | re.S)[0]
             for name in ("label", "live", "stats")}
    written = {"live": keys(shown["label"]) | keys(shown["live"]) | keys(rust(report)),
               "stats": keys(shown["label"]) | keys(shown["stats"])}
    wrong = False
    for name, code in written.items():
        said = {key for row in table(page, f"key in `{name}`") for key in row[0].split(", ")}
        wrong |= compare(page, [[key] for key in sorted(code)],
                         [[key] for key in sorted(said - {"others"})])
    files = re.findall(r"File \{\s*name: c_str!\(\"(\w+)\"\),\s*read: (\w+)(.*?)^    \},",
                       rust(control), re.M | re.S)
    code = [[name, f"0{(read != 'None') * 4 + ('write: Some' in rest) * 2}00"]
            for name, read, rest in files]
    return wrong | compare(page, code, table(page, "file", "mode"))


def check_properties(page, schema, probe, node):
    """The properties of a node: name, type, default, and that the driver reads them.

    A device on another bus has some of them.
    """
    binding = YAML(typ="safe").load(read(schema))
    bus = YAML(typ="safe").load(read(probe))["properties"]
    types = {"uint32": "cell", "string": "string", "boolean": "flag"}
    code = []
    for name, rules in binding["properties"].items():
        kind = types.get(rules.get("type") or rules.get("$ref", "").rpartition("/")[2], "")
        default = rules.get("default")
        if name != "compatible":
            code.append([name, kind or "specifier", "" if default is None else str(default)])
    said = []
    for name, kind, default in table(page, "property", "type", "default"):
        value = re.fullmatch(r"\"(.*)\"|(\d+)", default)
        said.append([name.partition(" ")[0], kind.partition(",")[0],
                     (value[1] or value[2]) if value else ""])
    asked = (set(re.findall(r"c_str!\(\"([a-z,-]+)\"\)", rust(node)))
             - {*binding["properties"]["compatible"]["enum"], bus["compatible"]["const"]})
    # The kernel reads the line.
    own = binding["properties"].keys() - {"compatible", "interrupts"}
    return (compare(page, code, said)
            | compare(probe, [], [[name] for name in bus.keys() - own - {"compatible", *OF_BUSES}])
            | compare(schema, [[name] for name in sorted(asked)], [[name] for name in sorted(own)]))


def check_parameters(page, params):
    """The module's parameters: name, type and default."""
    types = {"bool": "bool", "ulong": "bytes", "charp": "text"}
    code = [[name, types[kind], default] for name, kind, default in re.findall(
        r"^module_param\((\w+), (\w+), .*\);\nMODULE_PARM_DESC\(\1, \".*\(default: (.*)\)\"\);",
        read(params), re.M)]
    return compare(page, code, table(page, "parameter", "type", "default"))


def kernels(path):
    """The rows of the kernels' table: lists of words."""
    return [line.split(None, 7) for line in read(path).splitlines()
            if line and not line.startswith("#")]


def check_kernels(page, readme, path):
    """The rows of the kernels' table, and those of what make matrix has printed."""
    def words(text):
        return NONE if text == "-" else text.replace(",", " ")

    entries = kernels(path)
    code = [[name, kind if by == "-" else f"{kind}, {by}", words(test), words(matrix)]
            for name, kind, _, _, by, test, matrix, _ in entries]
    printed = [[name] for name, *_ in table(readme, "row", "page size")]
    return (compare(page, code, table(page, "row", "kind", "`make test` runs",
                                      "`make matrix` runs"))
            | compare(readme, [[entry[0]] for entry in entries if entry[6] != "-"], printed))


def check_interfaces(page, *files):
    """The forms of the interfaces that differ between kernels, as their files describe them."""
    code = [[Path(path).stem, form.replace("`", ""), since] for path in files
            for form, since in re.findall(r"^/// (.*), since ([\d.]+)$", read(path), re.M)]
    return compare(page, code, table(page, "interface", "the form", "since"))


def check_targets(page, said, makefile):
    """The targets: in the Makefile, in make help and on the page."""
    names = {name for line in re.findall(r"^\.PHONY: (.*)", read(makefile), re.M)
             for name in line.split()} - {"help", "modules"}
    code = [[f"make {name}".removesuffix(" all")] for name in sorted(names)]
    told = sorted({f"make {name}".strip() for name in
                   re.findall(r"\bmake(?: ([a-z-]+)|  )", read(said))})
    return (compare(page, code, sorted(table(page, "target")))
            | compare(said, code, [[name] for name in told]))


def check_torture(page, path, *files):
    """The torture tests, and the kernels that each is for."""
    rows = {}
    for name, kind, _, _, _, test, _, config in kernels(path):
        if "torture" in test.split(","):
            rows["stock" if kind == "stock" else "debug" if DEBUG in config else "own"] = name
    code = []
    for file in sorted(files):
        runs = next(ast.literal_eval(statement.value) for statement in ast.parse(read(file)).body
                    if isinstance(statement, ast.Assign)
                    and ast.unparse(statement.targets[0]) == "RUNS")
        code.append([Path(file).stem.removeprefix("test_"),
                     " ".join(sorted(rows[variety] for variety in runs))])
    said = [[name, " ".join(sorted(where.split(", ")))]
            for name, where in table(page, "test", "kernels")]
    return compare(page, code, said)


def check_command(page, methods, arguments, failure, guarantees):
    """The commands, their exit codes, and what `compare` says of the kernel's methods."""
    commands = re.search(r"^pub enum Command \{(.*?)^\}", rust(arguments), re.M | re.S)[1]
    code = [[name.lower()] for name in re.findall(r"^    (\w+)\(\1\),$", commands, re.M)]
    codes = [list(row) for row in re.findall(r"^  (\d+) +(\w.*?)\"?;?$", read(failure), re.M)]
    # Of what USB devices alone have, doc/usb.md tells.
    known = re.findall(r"\(\s*\"((?!usb_)\w+)\",\s*guarantee\(\"\w+\", \"(\w+)\", \"\w+\", "
                       r"\"(\w+)\"\)", rust(guarantees))
    promised = [[name, zeroed, "thread" if sleeps == "yes" else "thread, hard"]
                for name, zeroed, sleeps in known]
    names = [name for name, *_ in known]
    # A method may be newer than the program, which says so then.
    said = [row for row in table(methods, "method", "zeroed", "context") if row[0] in names]
    return (compare(page, code, [row[:1] for row in table(page, "command", "what it does")])
            | compare(page, codes, table(page, "code", "meaning"))
            | compare(methods, promised, said))


def check_messages(page, *files):
    """Each message of this tree is in its source: every piece between what differs."""
    source = "\n".join(re.sub(r"\"\s*\\\n\s*\"|\\\n\s*", " ", read(path)) for path in files)
    source = re.sub(r"\s+", " ", source)
    text = read(page)
    missing = []
    for title in ("set-up and build", "the driver"):
        section = text.partition(f"## Messages of {title}\n")[2].partition("\n## ")[0]
        messages = [message for line in re.findall(r"^\| (`.*?) \|", section, re.M)
                    for message in re.findall(r"`(.*?)`", line)]
        if not messages:
            sys.exit(f"{page}: no messages of {title}")
        missing += [f"{page}: {message}: not in the source: {piece}" for message in messages
                    for piece in map(str.strip, re.split(r"…|\bN\b", message))
                    if piece not in source]
    print("\n".join(missing), end="\n" if missing else "")
    return bool(missing)


def figures(text):
    """The figures of the table of make bench: what the record calls them, in Rust, in C."""
    # Method and bytes have so many characters; so many has what there is for each thing measured.
    place, width = 20, 29
    header, _, *lines = text.splitlines()
    found = [["text", *re.search(r"^text: (\d+) bytes, in C (\d+)$", text, re.M).groups()]]
    for line in lines:
        match = re.match(r"(\w+) +(\d+) ", line)
        for column, what in enumerate(header.split()[1:] if match else []):
            start = place + column * width
            both = line[start:start + width].split()[:2]
            if both:
                found.append([f"{what} {match[1]} {match[2]}", *both])
    return sorted(found)


def check_bench(page, whole, record):
    """What the page has of the tables of make bench stands on the other page. The first table there
    is what the newest record says.
    """
    blocks = re.findall(r"^```\n(press.*?)^```$", read(page), re.M | re.S)
    wrong = not blocks or any(block not in read(whole) for block in blocks)
    if wrong:
        print(f"{page}: the figures of make bench are not those of {whole}")
    costs = json.loads(read(record))[-1]["costs"]
    code = sorted([name, *(f"{count:.9g}" for count in both)] for name, both in costs.items())
    first = re.search(r"^```\n(instructions .*?)^```$", read(whole), re.M | re.S)
    return wrong | compare(whole, code, figures(first[1]))


def check_excerpts(page, *files):
    """Each piece of Rust on the page is in the file that the line before it names."""
    text = read(page)
    pieces = re.findall(r"`([\w/.]+)`:\n\n```rust\n(.*?)^```$", text, re.M | re.S)
    if len(pieces) != text.count("```rust\n") or not pieces:
        sys.exit(f"{page}: not each piece of Rust has the name of its file before it")
    wrong = [f"{page}: not in {name}:\n{piece}" for name, piece in pieces
             if name not in files or piece not in read(name)]
    print("\n".join(wrong), end="\n" if wrong else "")
    return bool(wrong)


def anchors(page):
    """The places of a page that links can name."""
    titles = re.findall(r"^#+ (.*)", read(page), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def check_links(*pages):
    """Links lead to a page and a title that are there; so do paths in the text."""
    wrong = []
    for page in map(Path, pages):
        text = re.sub(r"^```.*?^```$", "", read(page), flags=re.M | re.S)
        for link in re.findall(r"\]\(([^)]+)\)", text):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            if not target.exists() or anchor and anchor not in anchors(target):
                wrong.append(f"{page}: {link} leads nowhere")
        for path in re.findall(r"`([\w./,-]+)`", text):
            if path.split("/")[0] in TOP and "/" in path and not Path(path).exists():
                wrong.append(f"{page}: there is no {path}")
    print("\n".join(wrong), end="\n" if wrong else "")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(globals()[f"check_{sys.argv[1]}"](*sys.argv[2:]))
