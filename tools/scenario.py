#!/usr/bin/env python3
"""Prints the configuration of a scenario, and how to ask its questions, so that it can be typed.

    tools/scenario.py FILE                          the scenarios of a file
    tools/scenario.py FILE HEADING > scenario.toml  the configuration: what the file's scenarios share, then its own

HEADING is a heading of the file, or a part that no other heading has. The questions stand below the configuration as
comments, each as a command line. docs/scenarios.md says more.
"""

import sys


def blocks(text):
    """The fenced blocks of a file: the heading each stands under ("" above the first), its info string, its lines."""
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
    """The questions of a fence as command lines."""
    said = dict(word.split("=", 1) for word in info.split()[1:] if "=" in word)
    options = "".join(f" --{word} {said[word]}" for word in ("from", "view", "draw") if word in said)
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
        sys.exit(f"{len(found)} headings of {sys.argv[1]} have `{wanted}`:\n" + "\n".join(found or headings))

    config, questions = [], []
    for heading, info, lines in blocks(text):
        if info == "toml config" and heading in ("", found[0]):
            config.append("\n".join(lines))
        elif heading == found[0] and info.split()[0] in ("dig", "explain"):
            questions.extend(commands(info, lines))
    if questions:
        config.append("\n".join(f"# {question}" for question in questions))
    print("\n\n".join(config))


main()
