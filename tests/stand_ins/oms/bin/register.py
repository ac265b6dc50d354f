"""The request by which an agent registers: signed with the key, dated, without a look at the server's certificate (as
the original's `curl --insecure`). Lines on standard input: workspace, key, suffix, proxy. Exit codes of omsadmin."""
import base64, email.utils, hashlib, hmac, http.client, socket, ssl, sys, urllib.parse

workspace, key, suffix, proxy = sys.stdin.read().split("\n")[:4]
body, date = b"<LinuxAgentTopologyRequest/>", email.utils.formatdate(usegmt=True)
text = f"{hashlib.sha256(body).hexdigest()}\n{date}\n".encode()
signed = base64.b64encode(hmac.new(base64.b64decode(key), text, hashlib.sha256).digest()).decode()
host, context = f"{workspace}.oms.{suffix}", ssl._create_unverified_context()
try:
    if proxy:
        way = urllib.parse.urlsplit(proxy if "://" in proxy else "http://" + proxy)
        login = f"{urllib.parse.unquote(way.username or '')}:{urllib.parse.unquote(way.password or '')}"
        conn = http.client.HTTPSConnection(way.hostname, way.port or 80, context=context, timeout=10)
        headers = {"Proxy-Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if way.username else {}
        conn.set_tunnel(host, 443, headers)
    else:
        conn = http.client.HTTPSConnection(host, context=context, timeout=10)
    conn.request("POST", "/AgentService.svc/LinuxAgentTopologyRequest", body,
                 {"x-ms-Date": date, "x-ms-version": "August, 2014", "Authorization": f"{workspace}; {signed}"})
    status = conn.getresponse().status
except socket.gaierror as e:
    print("Error resolving host during the onboarding request:", e)
    sys.exit(7)
except OSError as e:
    print("Error during the onboarding request:", e)
    sys.exit(4 if "Tunnel connection failed" in str(e) else 8)
if status != 200:
    print(f"Error during the onboarding request. Check the correctness of the workspace ID and shared key. HTTP code {status}")
    sys.exit(5 if status == 403 else 6)
