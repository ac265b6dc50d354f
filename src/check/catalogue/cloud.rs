//! The way from this box to the agent's services.

use super::Check;
use crate::check::cloud as judge;

pub const CHECKS: &[Check] = &[
    Check {
        id: "cloud.endpoints",
        title: "Do the agent's services answer?",
        why: "Events that the agent cannot send wait in its buffer, and are thrown away when that is full or old.",
        looks_at: "the services that the agent's own configuration names (for the Log Analytics agent those of omsadmin.conf, for the \
                   Azure Monitor Agent those of its data collection rules), else those of the cloud: name, TCP 443, TLS, the \
                   certificate, one HTTP answer, all at once and for four seconds at most, through the agent's own proxy. Nothing \
                   but a request for / or /ping is sent. On a machine without an agent nothing is asked; one without any route \
                   and without a proxy is warned. `--skip cloud` asks nobody.",
        mend: "resolve the names, let TCP 443 out, or set the agent's proxy; which of them, the result says.",
        needs: &[],
        judge: judge::endpoints,
    },
    Check {
        id: "cloud.tls-inspection",
        title: "Does somebody open TLS on the way?",
        why: "A device that opens TLS takes away the certificate by which the agent proves who it is; its service then refuses it.",
        looks_at: "who issued the certificates of the services: Microsoft, or an authority that Microsoft uses for Azure.",
        mend: "leave the agent's services out of inspection on the device that issued the certificate.",
        needs: &[],
        judge: judge::inspection,
    },
    Check {
        id: "cloud.proxy",
        title: "Does the agent's proxy work?",
        why: "An agent whose proxy is gone, or does not accept its password, sends nothing.",
        looks_at: "proxy.conf of the Log Analytics agent; the environment file, the process and the unit of the Azure Monitor Agent; \
                   what the proxy answers when it is asked for the way to the agent's services; whether the addresses where a \
                   machine asks who it is (169.254.169.254, 127.0.0.1) are left out of it. The password is never shown.",
        mend: "correct address, user or password, with odd characters as %XX; add the two addresses to no_proxy.",
        needs: &[],
        judge: judge::proxy,
    },
];
