//! stopgap
use super::effective::Transport;
use std::path::PathBuf;
pub const CALLABLE: &str = "cefctl_events";
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    None,
    Stop,
    Keep,
}
#[derive(Debug, Clone)]
pub struct OwnInput {
    pub transport: Transport,
    pub port: u16,
    pub load_module: bool,
    pub octet_counting: bool,
}
#[derive(Debug, Clone)]
pub struct DropIn {
    pub version: (u32, u32, u32),
    pub receipt: PathBuf,
    pub agent_port: u16,
    pub forward: bool,
    pub inputs: Vec<OwnInput>,
    pub block: Block,
    pub callable: bool,
    pub keep_own: bool,
    pub rewrite_ids: bool,
    pub queue_disk: u32,
    pub work_directory: Option<PathBuf>,
    pub set_max_message_size: bool,
    pub keep_tabs: bool,
}
const HEAD: &str = r##"template(name="cefctl_head" type="string" string="<%pri%>%timereported:::date-year%-%timereported:::date-month%-%timereported:::date-day%T%timereported:::date-hour%:%timereported:::date-minute%:%timereported:::date-second%.000%timereported:::date-tzoffsdirection%%timereported:::date-tzoffshour%:%timereported:::date-tzoffsmin%")
"##;
const BODY: &str = r##"  if re_match($rawmsg, "CEF: ?[0-9]+[|]([^|]*[|]){6}|%(ASA|FTD)-([A-Za-z_]+-)?[0-7]-[0-9]{6}") then {
    if re_match($rawmsg, "^<[0-9]{1,3}>(1 | )?((Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +[0-9]{1,2} ([0-9]{4} )?[0-9]{2}:[0-9]{2}:[0-9]{2}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?[+-][0-9]{2}:?[0-9]{2}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{2,9}Z) +[A-Za-z0-9_][A-Za-z0-9._-]*( .*CEF: ?0[|]| CEF: ?0[|]|( :)? *%ASA-[0-7]-[0-9]{6})")
       and not re_match($rawmsg, "^[^|%]{0,60}:[0-9]{2}(Z|[+-][0-9:]+)? (UTC|GMT|W?ES?T|CES?T|[ECMP][SD]T|IST|MSK) ") then {
      set $.cefctl_line = $rawmsg;
    } else {
      set $.cefctl_ev = re_extract($rawmsg, "(CEF: ?[0-9]+[|]([^|]*[|]){6}.*|%(ASA|FTD)-([A-Za-z_]+-)?[0-7]-[0-9]{6}.*)", 0, 1, $rawmsg);
      set $.cefctl_host = re_extract($rawmsg, "^(<[0-9]{1,4}>)?[ :]*(1 )?((Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?((Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +[0-9]{1,2} ([0-9]{4} )?[0-9]{2}:[0-9]{2}:[0-9]{2}( [0-9]{4})?|[0-9]{1,2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) ([0-9]{4} )?[0-9]{2}:[0-9]{2}:[0-9]{2}|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}|[0-9]{10})([.,][0-9]+)?(Z|[+-][0-9]{2}:?[0-9]{2})? +((UTC|GMT|W?ES?T|CES?T|[ECMP][SD]T|IST|MSK) +)?([A-Za-z0-9_][A-Za-z0-9._-]*)(:? +(:? *%(ASA|FTD)|:|[A-Za-z0-9<[\"'/-]))", 0, 15, "");
      if $.cefctl_host == "" or re_match($.cefctl_host, "^(UTC|GMT|W?ES?T|CES?T|[ECMP][SD]T|IST|MSK)\$") then {
        if re_match($hostname, "^[A-Za-z0-9_]*[A-Za-z_.][A-Za-z0-9._-]*\$") then
          set $.cefctl_host = $hostname;
        else
          set $.cefctl_host = $fromhost-ip;
      }
      set $.cefctl_iso = re_extract($rawmsg, "^(<[0-9]{1,4}>)?[ :]*(1 )?([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})([.,][0-9]+)?(Z|[+-][0-9]{2}:?[0-9]{2}) ", 0, 3, "");
      if $.cefctl_iso == "" then
        set $.cefctl_head = exec_template("cefctl_head");
      else
        set $.cefctl_head = "<" & $pri & ">" & $.cefctl_iso & ".000" & re_extract($rawmsg, "^(<[0-9]{1,4}>)?[ :]*(1 )?([0-9T:-]+)([.,][0-9]+)?(Z|[+-][0-9]{2}:?[0-9]{2}) ", 0, 5, "Z");
      set $.cefctl_line = $.cefctl_head & " " & $.cefctl_host & " " & $.cefctl_ev;
    }
"##;
pub fn render(d: &DropIn) -> Vec<u8> {
    let mut o = String::from("# Written by cefctl; do not edit\n");
    if let Some(w) = &d.work_directory {
        o += &format!("global(workDirectory=\"{}\")\n", w.display());
    }
    if d.set_max_message_size {
        o += "global(maxMessageSize=\"64k\")\n";
    }
    if d.keep_tabs {
        o += "global(parser.escapeControlCharacterTab=\"off\")\n";
    }
    for i in &d.inputs {
        if i.load_module {
            o += if i.transport == Transport::Udp {
                "module(load=\"imudp\")\n"
            } else {
                "module(load=\"imtcp\" maxSessions=\"500\")\n"
            };
        }
    }
    o += "template(name=\"cefctl_out\" type=\"string\" string=\"%$.cefctl_line%\")\n";
    o += HEAD;
    o += &format!(
        "ruleset(name=\"cefctl_events\") {{\n{BODY}    action(type=\"omfwd\" name=\"cefctl_fwd\" target=\"127.0.0.1\" port=\"{}\" protocol=\"tcp\" template=\"cefctl_out\" queue.type=\"LinkedList\" queue.fileName=\"cefctl_fwd\" queue.size=\"100000\" queue.maxDiskSpace=\"{}m\" queue.saveOnShutdown=\"on\" action.resumeRetryCount=\"-1\" action.resumeInterval=\"1\")\n{}  }}\n}}\n",
        d.agent_port,
        d.queue_disk,
        if d.callable || d.block == Block::Keep || d.keep_own { "" } else { "    stop\n" }
    );
    o += "ruleset(name=\"cefctl_in\") {\n  call cefctl_events\n  call RSYSLOG_DefaultRuleset\n}\n";
    for i in &d.inputs {
        o += &format!(
            "input(type=\"{}\" port=\"{}\" ruleset=\"cefctl_in\")\n",
            if i.transport == Transport::Udp { "imudp" } else { "imtcp" },
            i.port
        );
    }
    if d.block != Block::None {
        o += "call cefctl_events\n";
    }
    o.into_bytes()
}
