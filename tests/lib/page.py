#!/usr/bin/env python3
"""Runs the console blocks of a page and compares what they print: page.py PAGE [WORD…]

A block is fenced by ```console, or ```console WORD if it is for machines that have this WORD. A line that begins with "# " is a command (and goes on in the next line after a backslash), the lines below it are all
that it prints, on both outputs. "…" stands for anything within a line. Commands run one after the other in one shell, where this was called.
"""
import re, subprocess, sys, threading

END = "\x01end of the output\x01"


def commands(page):
    shown, inside, more = [], False, False
    for line in open(page, encoding="utf-8").read().splitlines():
        if line.startswith("```"):
            inside = line == "```console" or line.startswith("```console ") and line[11:] in sys.argv[2:]
        elif inside and more:
            shown[-1][0] += "\n" + line
            more = line.endswith("\\")
        elif inside and line.startswith("# "):
            shown.append([line[2:], []])
            more = line.endswith("\\")
        elif inside:
            shown[-1][1].append(line)
    return shown


def matches(want, got):
    pattern = "\n".join(".*".join(re.escape(part) for part in line.rstrip().split("…")) for line in want)
    return re.fullmatch(pattern, "\n".join(line.rstrip() for line in got))


def main():
    shell = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    limit = threading.Timer(300, shell.kill)  # a command that never ends, or a quote that does not
    limit.daemon = True
    limit.start()
    bad = count = 0
    for command, want in commands(sys.argv[1]):
        shell.stdin.write(command + "\nprintf '%s\\n' '" + END + "'\n")
        shell.stdin.flush()
        got = []
        for line in shell.stdout:
            if END in line:
                got += [line.split(END)[0]] if line.split(END)[0] else []
                break
            got.append(line.rstrip("\n"))
        count += 1
        if not matches(want, got):
            bad += 1
            print("\n".join(["# " + command] + got))
    shell.stdin.close()
    if shell.wait() != 0:
        sys.exit("the shell ended with %d" % shell.returncode)
    if not count:
        sys.exit("no command in " + sys.argv[1])
    sys.exit(bad > 0)


main()
