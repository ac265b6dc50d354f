"""Stand-in for the agent itself: reads the inputs that it finds in its own folder, as its own user, takes events as the
real one does (TCP, cut at line feeds) and appends them to state/received. What it cannot do it says in its log, in the
real one's words, and goes on without that input."""
import glob, os, re, socket, sys, threading, time

ws = sys.argv[1]
conf = f"/etc/opt/microsoft/omsagent/{ws}/conf/omsagent.d"
var = f"/var/opt/microsoft/omsagent/{ws}"


def log(text):
    with open(f"{var}/log/omsagent.log", "a") as out:
        out.write(time.strftime("%Y-%m-%d %H:%M:%S +0000 ") + text + "\n")


def take(conn, out):
    rest = b""
    while data := conn.recv(1 << 16):
        whole, mark, rest = (rest + data).rpartition(b"\n")
        if mark:
            with lock:
                out.write(whole + mark)
    conn.close()


def serve(server, out):
    while True:
        conn = server.accept()[0]
        threading.Thread(target=take, args=(conn, out), daemon=True).start()


lock = threading.Lock()
out = open(f"{var}/state/received", "ab", buffering=0)
for path in sorted(glob.glob(conf + "/*.conf")):
    try:
        text = open(path).read()
    except OSError as e:
        log(f"[error]: Permission denied @ rb_sysopen - {path} ({e.strerror})")
        continue
    for source in re.findall(r"<source>(.*?)</source>", text, re.S):
        get = lambda name: (re.search(rf"^\s*{name}\s+(.+?)\s*$", source, re.M) or [None, None])[1]
        if get("type") != "syslog" or get("protocol_type") != "tcp":
            continue
        try:
            server = socket.create_server((get("bind") or "0.0.0.0", int(get("port"))))
        except OSError as e:
            log(f'[error]: unexpected error error_class=Errno::EADDRINUSE error="{e.strerror} - bind(2) for {get("bind")}:{get("port")}"')
            continue
        except (TypeError, ValueError):
            log("[error]: config error in:" + source)
            continue
        threading.Thread(target=serve, args=(server, out), daemon=True).start()
        log(f"[info]: listening syslog socket on {get('bind')}:{get('port')} with tcp")
log("[info]: running")
while True:
    time.sleep(3600)
