"""Stand-in for mdsd's syslog intake: mdsd.py PORT|SOCKET FILE. Takes TCP connections on
127.0.0.1:PORT and cuts at line feeds, or datagrams on a unix socket (before 1.28.11); appends to FILE. The
port it has it writes into its port file, as the real one does."""
import os, socket, sys, threading

out, lock = open(sys.argv[2], "ab", buffering=0), threading.Lock()


def take(conn):
    rest = b""
    while data := conn.recv(1 << 16):
        whole, mark, rest = (rest + data).rpartition(b"\n")
        if mark:
            with lock:
                out.write(whole + mark)
    conn.close()


if sys.argv[1].startswith("/"):
    if os.path.exists(sys.argv[1]):
        os.unlink(sys.argv[1])
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(sys.argv[1])
    os.chmod(sys.argv[1], 0o666)
    while True:
        out.write(server.recv(1 << 18).rstrip(b"\n") + b"\n")
with open("/etc/opt/microsoft/azuremonitoragent/config-cache/syslog.port", "w") as port:
    port.write(sys.argv[1])
server = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
while True:
    threading.Thread(target=take, args=(server.accept()[0],), daemon=True).start()
