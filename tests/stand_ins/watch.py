"""Looks over everybody's shoulder: watch.py FILE WORD... writes a line for every process whose command line or
environment holds one of the words, as fast as it can look, until it is ended. The words come in reversed, so that the
watcher does not find itself."""
import os, sys

words = [w[::-1].encode() for w in sys.argv[2:]]
told = set()
out = open(sys.argv[1], "a", buffering=1)
looked = 0
while True:
    looked += 1
    if looked % 100 == 1:
        out.write("looked\n")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for what in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{what}", "rb") as f:
                    text = f.read()
                for word in words:
                    if word in text and (pid, what, word) not in told:
                        told.add((pid, what, word))
                        with open(f"/proc/{pid}/comm") as f:
                            out.write(f"{what} of {f.read().strip()} ({pid})\n")
            except OSError:
                pass
