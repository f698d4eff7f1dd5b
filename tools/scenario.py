#!/usr/bin/env python3
"""Prints the configuration of a scenario and the commands that reproduce its queries.

    tools/scenario.py FILE                          list the scenarios of a file
    tools/scenario.py FILE HEADING > scenario.toml  print the configuration of one scenario

HEADING is a heading of the file, or a part of one that occurs in no other heading. The configuration consists of the
part that all scenarios of the file share and the part of this scenario. The commands follow as comments. See
docs/scenarios.md for the format of the files.
"""

import sys


def blocks(text):
    """Yields the fenced code blocks of a file as (heading, info string, lines). The heading is "" before the first one."""
    heading, info, lines = "", None, []
    for line in text.splitlines():
        if info is None and line.startswith("```"):
            info, lines = line[3:], []
        elif info is None and line.startswith("## "):
            heading = line[3:]
        elif info is not None and line == "```":
            yield heading, info, lines
            info = None
        elif info is not None:
            lines.append(line)


def commands(info, lines):
    """Yields a command line for each query of a code block."""
    parameters = dict(word.split("=", 1) for word in info.split()[1:] if "=" in word)
    options = "".join(f" --{key} {parameters[key]}" for key in ("from", "view", "draw") if key in parameters)
    for name, record_type in (line.split() for line in lines if len(line.split()) == 2 and line[0] != ";"):
        yield f"plustwo explain {name} --type {record_type}{options}"


def main():
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    if len(sys.argv) == 2:
        print("\n".join(headings))
        return
    wanted = sys.argv[2]
    found = [heading for heading in headings if heading == wanted]
    found = found or [heading for heading in headings if wanted in heading]
    if len(found) != 1:
        sys.exit(f"{len(found)} headings of {sys.argv[1]} contain `{wanted}`:\n" + "\n".join(found or headings))

    config, queries = [], []
    for heading, info, lines in blocks(text):
        if info == "toml config" and heading in ("", found[0]):
            config.append("\n".join(lines))
        elif heading == found[0] and info.split()[0] in ("dig", "explain"):
            queries.extend(commands(info, lines))
    if queries:
        config.append("\n".join(f"# {query}" for query in queries))
    print("\n\n".join(config))


main()
