"""Stand-in for mdsd's syslog intake: mdsd.py PORT FILE, or `-V` for the version. Takes TCP connections on 127.0.0.1:PORT,
cuts at line feeds, appends to FILE."""
import os, socket, sys, threading

if sys.argv[1] == "-V":
    print("1.33.1-build.main.845")
    sys.exit()
out, lock = open(sys.argv[2], "ab", buffering=0), threading.Lock()


def take(conn):
    rest = b""
    while data := conn.recv(1 << 16):
        whole, mark, rest = (rest + data).rpartition(b"\n")
        if mark:
            with lock:
                out.write(whole + mark)
    conn.close()


server = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
while True:
    threading.Thread(target=take, args=(server.accept()[0],), daemon=True).start()
