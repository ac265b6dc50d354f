"""Stand-in for the agent's input, independent of the tool under test: agent.py PORT FILE

Takes TCP connections on 127.0.0.1:PORT, cuts each stream at line feeds (a sender may use several connections, so every
connection has its own rest) and appends whole lines to FILE. A rest without line feed at the end of a connection is kept
with a mark in front, so that a test sees it.

SIGTERM ends it as a careful server ends: it takes no new connection, tells the peers that it is going, and reads what
they have sent until they close. SIGKILL loses what was on its way: TCP has no acknowledgement of the application.
"""
import os, signal, socket, sys, threading, time

port, path = int(sys.argv[1]), sys.argv[2]
out = open(path, "ab", buffering=0)
lock = threading.Lock()
conns = set()


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
    conns.discard(conn)
    conn.close()


def leave(signum, frame):
    server.close()
    for conn in list(conns):
        try:
            conn.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # gone already
    end = time.time() + 3
    while conns and time.time() < end:
        time.sleep(0.01)
    os._exit(0)


server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", port))
server.listen(64)
signal.signal(signal.SIGTERM, leave)
while True:
    conn = server.accept()[0]
    conns.add(conn)
    threading.Thread(target=take, args=(conn,), daemon=True).start()
