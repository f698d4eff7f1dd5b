#!/usr/bin/env python3
"""Prints the configuration of a scenario, and how to ask its questions, so that it can be typed.

    tools/scenario.py FILE                        the scenarios of a file
    tools/scenario.py FILE HEADING > lab.toml     the configuration: what the file's scenarios share, then its own

HEADING is a heading of the file, or a part of one that no other heading has. The questions stand below the
configuration as comments, each as a command line.
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
    questions = []
    for heading, info, lines in blocks(text):
        if info == "toml config" and heading in ("", found[0]):
            print("\n".join(lines))
        words = info.split()
        if heading == found[0] and words and words[0] in ("dig", "explain"):
            said = dict(word.split("=", 1) for word in words[1:] if "=" in word)
            rest = "".join(f"  # {key}={said[key]}" for key in ("view", "rotation", "draw") if key in said)
            for line in lines:
                asked = line.split()
                if len(asked) == 2 and asked[0] != ";":
                    questions.append(f"# plustwo explain {asked[0]} --type {asked[1]} --from {said['from']}{rest}")
    if questions:
        print("\n" + "\n".join(questions))


main()
