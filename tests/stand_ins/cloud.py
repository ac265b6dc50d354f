"""What is behind the agents' way out, for tests: a web server with the bundle, the service where the Log Analytics agent
registers, and a proxy that wants a login. Independent of the tool under test.

    cloud.py STATE CERT KEY [PORT [PROXY_PORT]]

STATE is a folder: a request gets the file of files/ that has its last name, workspaces.json holds {workspace id: key}, requests.log gets a line for
every request, ports is written once both ports are open (0 stands for any).

What a request asks for in its query, so that one server can be every bad line at once:
    cut=N          every answer ends after N bytes of body        slow=S     S seconds before every 64 KiB
    status=N       this status, with times=N only so many times   norange    ranges are not understood
    changing       another ETag each time                         endless    no length, and no end
    claims=N       a length of N                                  hang       nothing comes behind the head
    to=URL         a redirect

Files of STATE change how the service looks to everybody: answer (a status for every HEAD and GET), seconds (how far its clock is
off), proxy (a status for every CONNECT).
"""
import base64, email.utils, hashlib, hmac, http.server, json, os, socket, ssl, sys, threading, time, urllib.parse

state, cert, key = sys.argv[1:4]
port = int(sys.argv[4]) if len(sys.argv) > 4 else 0
proxy_port = int(sys.argv[5]) if len(sys.argv) > 5 else 0
LOGIN = b"user:p@ss word/1"  # every character that must be encoded somewhere on the way
SKEW = 15 * 60
seen, lock = {}, threading.Lock()


def log(line):
    with lock, open(os.path.join(state, "requests.log"), "a") as out:
        out.write(line + "\n")


def told(name):
    try:
        with open(os.path.join(state, name)) as file:
            return int(file.read().strip() or 0)
    except FileNotFoundError:
        return 0


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *args):
        pass

    def date_time_string(self, timestamp=None):
        return super().date_time_string((timestamp or time.time()) + told("seconds"))

    def do_HEAD(self):
        log(f"HEAD {self.headers.get('Host')} {self.path}")
        self.send_response(told("answer") or 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        ask = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        span = self.headers.get("Range", "")
        log(f"GET {self.headers.get('Host')} {self.path} {span}".rstrip())
        self.close_connection = True
        if told("answer"):
            return self.bare(told("answer"), {})
        with lock:
            seen[self.path] = count = seen.get(self.path, 0) + 1
        if "to" in ask:
            return self.bare(302, {"Location": ask["to"]})
        if "status" in ask and count <= int(ask.get("times", 1 << 30)):
            return self.bare(int(ask["status"]), {"Retry-After": "0"} if "times" in ask else {})
        path = os.path.join(state, "files", os.path.basename(url.path))
        if not os.path.isfile(path):
            return self.bare(404, {})
        body = open(path, "rb").read()
        etag = '"%s"' % (hashlib.sha1(body).hexdigest()[:8] + (str(count) if "changing" in ask else ""))
        first = 0
        if span.startswith("bytes=") and "norange" not in ask and self.headers.get("If-Range") == etag:
            first = int(span[6:].split("-")[0])
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        if "endless" not in ask:
            self.send_header("Content-Length", ask.get("claims", str(len(body) - first)))
        if "norange" not in ask:
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", etag)
        self.send_header("Connection", "close")
        self.end_headers()
        if "hang" in ask and count == 1:
            time.sleep(30)
        left, at = int(ask.get("cut", 1 << 60)), first
        try:
            while at < len(body) and left > 0:
                time.sleep(float(ask.get("slow", 0)))
                piece = body[at : at + min(1 << 16, left)]
                self.wfile.write(piece)
                at, left = at + len(piece), left - len(piece)
            while "endless" in ask:
                self.wfile.write(b"x" * (1 << 16))
        except OSError:
            pass  # the other side has had enough

    def bare(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def do_POST(self):
        """An agent registers: the workspace is in the host name, the signature shows that it knows the key."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        host = self.headers.get("Host", "").split(":")[0]
        workspace = host.split(".")[0]
        known = json.load(open(os.path.join(state, "workspaces.json")))
        sent = self.headers.get("x-ms-Date", "")
        try:
            off = abs(email.utils.parsedate_to_datetime(sent).timestamp() - time.time())
        except (TypeError, ValueError):
            off = 1 << 30
        secret = base64.b64decode(known.get(workspace, ""))
        text = f"{hashlib.sha256(body).hexdigest()}\n{sent}\n".encode()
        wanted = base64.b64encode(hmac.new(secret, text, hashlib.sha256).digest()).decode()
        given = self.headers.get("Authorization", "").split(";")[-1].strip()
        good = workspace in known and off <= SKEW and hmac.compare_digest(wanted, given)
        status = int(open(os.path.join(state, "status")).read()) if os.path.exists(os.path.join(state, "status")) else 0
        status = status or (200 if good else 403)
        log(f"POST {host} {self.path} {status}")
        self.close_connection = True
        self.bare(status, {})


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client):
        pass  # a handshake that was broken off

    def get_request(self):
        conn, peer = self.socket.accept()
        conn.settimeout(60)
        return context.wrap_socket(conn, server_side=True, do_handshake_on_connect=False), peer


def pump(a, b):
    try:
        while data := a.recv(1 << 16):
            b.sendall(data)
    except OSError:
        pass
    for s in (a, b):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def proxied(conn):
    head = b""
    while b"\r\n\r\n" not in head and (data := conn.recv(4096)):
        head += data
    lines = head.split(b"\r\n")
    words = lines[0].split()
    want = b"Basic " + base64.b64encode(LOGIN)
    if not any(l.lower().startswith(b"proxy-authorization:") and l.split(b":", 1)[1].strip() == want for l in lines):
        log("PROXY 407")
        conn.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
        return conn.close()
    log(f"PROXY {words[1].decode()}")
    if told("proxy"):
        conn.sendall(f"HTTP/1.1 {told('proxy')} No\r\nContent-Length: 0\r\n\r\n".encode())
        return conn.close()
    host, _, number = words[1].decode().rpartition(":")
    try:
        out = socket.create_connection((host, int(number)), 10)
    except OSError:
        conn.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        return conn.close()
    conn.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    threading.Thread(target=pump, args=(out, conn), daemon=True).start()
    pump(conn, out)


def proxy(listener):
    while True:
        conn = listener.accept()[0]
        threading.Thread(target=proxied, args=(conn,), daemon=True).start()


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
web = Server(("127.0.0.1", port), Web)
listener = socket.create_server(("127.0.0.1", proxy_port))
threading.Thread(target=proxy, args=(listener,), daemon=True).start()
with open(os.path.join(state, "ports.new"), "w") as out:
    out.write(f"{web.server_port} {listener.getsockname()[1]}\n")
os.rename(os.path.join(state, "ports.new"), os.path.join(state, "ports"))
web.serve_forever()
