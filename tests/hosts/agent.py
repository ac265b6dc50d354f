"""Stand-in for the agent's input, independent of the tool under test: agent.py PORT FILE [MODE]

Takes TCP connections on 127.0.0.1:PORT, cuts each stream at line feeds (a sender may use several connections, so every
connection has its own rest) and appends whole lines to FILE. A rest without line feed at the end of a connection is kept
with a mark in front, so that a test sees it.
"""
import socket, sys, threading

port, path = int(sys.argv[1]), sys.argv[2]
out = open(path, "ab", buffering=0)
lock = threading.Lock()


def take(conn):
    rest = b""
    while True:
        data = conn.recv(1 << 16)
        if not data:
            break
        whole, mark, tail = (rest + data).rpartition(b"\n")
        if mark:
            with lock:
                out.write(whole + mark)
        rest = tail
    if rest:
        with lock:
            out.write(b"UNFINISHED " + rest + b"\n")


server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", port))
server.listen(64)
while True:
    threading.Thread(target=take, args=(server.accept()[0],), daemon=True).start()
