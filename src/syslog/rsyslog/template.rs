//! What a template makes of an event: the format strings (`%msg:1:10:uppercase%`), list templates, and the templates
//! the daemon brings along. A part that cannot be known makes the whole unknown.

use super::ast::Object;
use super::effective::Template;
use super::eval::Env;
use super::event::EventTime;
use super::names;
use super::posix::{Pattern, Syntax};
use crate::syslog::Text;

/// Formats of the daemon's own templates.
const BUILTIN: [(&str, &str); 5] = [
    (
        "RSYSLOG_TraditionalFileFormat",
        "%TIMESTAMP% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg:::drop-last-lf%\n",
    ),
    (
        "RSYSLOG_FileFormat",
        "%TIMESTAMP:::date-rfc3339% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg:::drop-last-lf%\n",
    ),
    ("RSYSLOG_TraditionalForwardFormat", "<%PRI%>%TIMESTAMP% %HOSTNAME% %syslogtag:1:32%%msg:::sp-if-no-1st-sp%%msg%"),
    (
        "RSYSLOG_ForwardFormat",
        "<%PRI%>%TIMESTAMP:::date-rfc3339% %HOSTNAME% %syslogtag:1:32%%msg:::sp-if-no-1st-sp%%msg%",
    ),
    (
        "RSYSLOG_SyslogProtocol23Format",
        "<%PRI%>1 %TIMESTAMP:::date-rfc3339% %HOSTNAME% %APP-NAME% %PROCID% %MSGID% %STRUCTURED-DATA% %msg%\n",
    ),
];

/// What the template of that name makes of the event.
pub fn render(env: &Env<'_>, name: &Text) -> Option<Vec<u8>> {
    if let Some((_, format)) = BUILTIN.iter().find(|(n, _)| *name == *n) {
        return render_format(env, format.as_bytes(), false);
    }
    let template = env.config.template(name)?;
    render_template(env, template)
}

/// The first name in a template that is neither a property nor a variable. A template with one does not exist.
pub fn unknown_property(format: &[u8], parts: &[Object]) -> Option<Text> {
    let mut names = Vec::new();
    let mut rest = format;
    while let Some(at) = rest.iter().position(|b| *b == b'%') {
        let escaped = at > 0 && rest[at - 1] == b'\\';
        match Field::parse(&rest[at + 1..]).filter(|_| !escaped) {
            Some((field, after)) => {
                names.push(field.name);
                rest = after;
            }
            // Not understood here: the rest is not judged.
            None if !escaped => break,
            None => rest = &rest[at + 1..],
        }
    }
    names.extend(parts.iter().filter_map(|p| p.get("name").cloned()));
    names.into_iter().find(|n| !names::is_property(n.as_bytes()) && !is_variable(n.as_bytes()))
}

fn is_variable(name: &[u8]) -> bool {
    names::is_variable(name) || name.strip_prefix(b"$").is_some_and(names::is_variable)
}

fn render_template(env: &Env<'_>, template: &Template) -> Option<Vec<u8>> {
    if let Some(format) = &template.format {
        return render_format(env, format.as_bytes(), template.legacy);
    }
    let parts = template.parts.iter().map(|p| render_part(env, p)).collect::<Option<Vec<_>>>()?;
    (!parts.is_empty()).then(|| parts.concat())
}

/// A `constant(…)` or `property(…)` of a list template.
fn render_part(env: &Env<'_>, part: &Object) -> Option<Vec<u8>> {
    if let Some(value) = part.get("value") {
        return Some(value.0.clone());
    }
    let mut field = Field { name: part.get("name")?.clone(), ..Field::default() };
    for param in &part.params {
        let value = param.value.text()?;
        let name = param.name.to_lower();
        let on = value.switch() == Some(true);
        match name.as_bytes() {
            b"name" => {}
            b"position.from" => field.from = value.number()?,
            b"position.to" => field.to = value.number()?,
            b"dateformat" => field.options.push(format!("date-{}", value.to_lower())),
            b"caseconversion" => field.options.push(value.to_lower().to_string()),
            b"controlcharacters" => field.options.push(format!("{}-cc", value.to_lower())),
            b"spifno1stsp" if on => field.options.push("sp-if-no-1st-sp".to_owned()),
            b"droplastlf" if on => field.options.push("drop-last-lf".to_owned()),
            b"spifno1stsp" | b"droplastlf" => {}
            _ => return None,
        }
    }
    field.render(env)
}

/// Constants and `%…%` in turn. A `$template` still has its backslash sequences.
fn render_format(env: &Env<'_>, format: &[u8], legacy: bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = format;
    while let Some(&b) = rest.first() {
        if b == b'%' {
            let (field, after) = Field::parse(&rest[1..])?;
            out.extend(field.render(env)?);
            rest = after;
        } else if b == b'\\' && legacy {
            let (byte, after) = legacy_escape(&rest[1..])?;
            out.push(byte);
            rest = after;
        } else {
            out.push(b);
            rest = &rest[1..];
        }
    }
    Some(out)
}

/// `\n`, `\r`, `\%`, decimal numbers; anything else stands for itself.
fn legacy_escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let b = *text.first()?;
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits > 0 {
        let n = text[..digits].iter().fold(0u8, |n, d| n.wrapping_mul(10).wrapping_add(d - b'0'));
        return Some((n, &text[digits..]));
    }
    let byte = match b {
        b'n' => b'\n',
        b'r' => b'\r',
        b => b,
    };
    Some((byte, &text[1..]))
}

/// One property with what is to be done to it.
#[derive(Debug, Default)]
struct Field {
    name: Text,
    from: i64,
    to: i64,
    /// Delimiter and number of `%name:F,58:2%`.
    part: Option<(u8, usize)>,
    regex: Option<RegexField>,
    options: Vec<String>,
}

#[derive(Debug)]
struct RegexField {
    pattern: Pattern,
    group: usize,
    nth: usize,
    otherwise: Otherwise,
}

#[derive(Debug, Clone, Copy)]
enum Otherwise {
    Note,
    Blank,
    Field,
    Zero,
}

impl Field {
    /// What follows a `%`, and the text behind the closing one.
    fn parse(text: &[u8]) -> Option<(Field, &[u8])> {
        let mut field = Field::default();
        let end = text.iter().position(|b| matches!(b, b'%' | b':'))?;
        field.name = Text::from(&text[..end]);
        let mut rest = &text[end..];
        if let Some(from) = rest.strip_prefix(b":") {
            rest = match from.first() {
                Some(b'R') => field.regex(from)?,
                _ => field.positions(from)?,
            };
        }
        if let Some(options) = rest.strip_prefix(b":") {
            let end = options.iter().position(|b| *b == b'%')?;
            let list = String::from_utf8_lossy(&options[..end]).to_ascii_lowercase();
            field.options = list.split(',').map(|o| o.trim().to_owned()).filter(|o| !o.is_empty()).collect();
            rest = &options[end..];
        }
        Some((field, rest.strip_prefix(b"%")?))
    }

    /// `from:to` or `F,delimiter:number`
    fn positions<'t>(&mut self, text: &'t [u8]) -> Option<&'t [u8]> {
        let end = text.iter().position(|b| matches!(b, b'%' | b':'))?;
        let (from, mut rest) = (&text[..end], &text[end..]);
        let mut to = &b""[..];
        if let Some(after) = rest.strip_prefix(b":") {
            let end = after.iter().position(|b| matches!(b, b'%' | b':'))?;
            (to, rest) = (&after[..end], &after[end..]);
        }
        let number =
            |t: &[u8]| std::str::from_utf8(t).ok().and_then(|t| if t.is_empty() { Some(0) } else { t.parse().ok() });
        if let Some(delimiter) = from.strip_prefix(b"F") {
            let delimiter = delimiter.strip_prefix(b",").map_or(Some(9), number)?;
            self.part = Some((u8::try_from(delimiter).ok()?, usize::try_from(number(to)?).ok()?));
        } else {
            self.from = number(from)?;
            self.to = if to == b"$" { i64::MAX } else { number(to)? };
            if self.to < self.from {
                std::mem::swap(&mut self.from, &mut self.to);
            }
        }
        Some(rest)
    }

    /// `R,ERE,group,DFLT,nth:pattern--end`
    fn regex<'t>(&mut self, text: &'t [u8]) -> Option<&'t [u8]> {
        let colon = text.iter().position(|b| *b == b':')?;
        let head = std::str::from_utf8(&text[..colon]).ok()?;
        let mut parts = head.split(',').skip(1);
        let syntax = match parts.next() {
            Some("ERE") => Syntax::Extended,
            Some("BRE") | None => Syntax::Basic,
            Some(_) => return None,
        };
        let digit = |t: Option<&str>| t.map_or(Some(0), |t| if t.is_empty() { Some(0) } else { t.parse().ok() });
        let group = digit(parts.next())?;
        let otherwise = match parts.next() {
            None | Some("" | "DFLT") => Otherwise::Note,
            Some("BLANK") => Otherwise::Blank,
            Some("FIELD") => Otherwise::Field,
            Some("ZERO") => Otherwise::Zero,
            Some(_) => return None,
        };
        let nth = digit(parts.next())?;
        let body = &text[colon + 1..];
        let end = body.windows(5).position(|w| w == b"--end")?;
        let pattern = Pattern::new(&body[..end], syntax, false)?;
        self.regex = Some(RegexField { pattern, group, nth, otherwise });
        Some(&body[end + 5..])
    }

    fn render(&self, env: &Env<'_>) -> Option<Vec<u8>> {
        let dates = self.options.iter().filter(|o| o.starts_with("date-")).collect::<Vec<_>>();
        let mut text = match dates.as_slice() {
            [] => env.value(&self.variable()).text()?,
            [date] => date_text(&self.time(env)?, date)?,
            // Two date options: which one the daemon takes is its own matter.
            _ => return None,
        };
        if let Some((delimiter, nth)) = self.part {
            let found = nth.checked_sub(1).and_then(|n| text.split(|b| *b == delimiter).nth(n));
            text = found.unwrap_or(b"**FIELD NOT FOUND**").to_vec();
        } else if let Some(regex) = &self.regex {
            text = regex.extract(text);
        }
        if self.from != 0 || self.to != 0 {
            text = positions(&text, self.from, self.to);
        }
        for option in self.options.iter().filter(|o| !o.starts_with("date-")) {
            text = convert(text, option)?;
        }
        Some(text)
    }

    /// The name an expression would use: variables lose their dollar sign.
    fn variable(&self) -> Text {
        match self.name.as_bytes() {
            [b'$', rest @ ..] if matches!(rest.first(), Some(b'!' | b'.' | b'/')) => Text::from(rest),
            _ => self.name.clone(),
        }
    }

    fn time(&self, env: &Env<'_>) -> Option<EventTime> {
        match self.name.to_lower().as_bytes() {
            b"timereported" | b"timestamp" => env.event.reported(),
            b"timegenerated" => env.event.origin.received,
            _ => None,
        }
    }
}

impl RegexField {
    fn extract(&self, text: Vec<u8>) -> Vec<u8> {
        let mut rest = &text[..];
        for _ in 0..self.nth {
            match self.pattern.captures(rest).and_then(|c| c.first()?.clone()) {
                Some(found) => rest = &rest[found.end..],
                None => return self.missing(&text),
            }
        }
        match self.pattern.captures(rest).and_then(|c| c.get(self.group).cloned().flatten()) {
            Some(range) => rest[range].to_vec(),
            None => self.missing(&text),
        }
    }

    fn missing(&self, text: &[u8]) -> Vec<u8> {
        match self.otherwise {
            Otherwise::Note => b"**NO MATCH**".to_vec(),
            Otherwise::Blank => Vec::new(),
            Otherwise::Field => text.to_vec(),
            Otherwise::Zero => b"0".to_vec(),
        }
    }
}

/// Bytes `from` to `to`, counted from 1; 0 is 1.
fn positions(text: &[u8], from: i64, to: i64) -> Vec<u8> {
    let from = usize::try_from(from - 1).unwrap_or(0);
    let to = usize::try_from(to - 1).unwrap_or(0);
    if from >= text.len() {
        return Vec::new();
    }
    text[from..=to.min(text.len() - 1).max(from)].to_vec()
}

fn convert(text: Vec<u8>, option: &str) -> Option<Vec<u8>> {
    Some(match option {
        "lowercase" | "lower" => text.to_ascii_lowercase(),
        "uppercase" | "upper" => text.to_ascii_uppercase(),
        "sp-if-no-1st-sp" => match text.first() {
            None | Some(b' ') => Vec::new(),
            Some(_) => b" ".to_vec(),
        },
        "drop-last-lf" => text.strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or(text),
        "space-cc" => text.iter().map(|b| if b.is_ascii_control() { b' ' } else { *b }).collect(),
        "drop-cc" => text.into_iter().filter(|b| !b.is_ascii_control()).collect(),
        _ => return None,
    })
}

fn date_text(time: &EventTime, option: &str) -> Option<Vec<u8>> {
    let EventTime { year, month, day, hour, minute, second, .. } = time;
    Some(
        match option {
            // With more digits than it expects the daemon writes stray bytes.
            "date-rfc3339" if time.precision > 6 => return None,
            "date-rfc3339" => time.rfc3339()?,
            "date-rfc3164" => time.rfc3164(),
            "date-year" if *year == 0 => return None,
            "date-year" => format!("{year:04}"),
            "date-month" => format!("{month:02}"),
            "date-day" => format!("{day:02}"),
            "date-hour" => format!("{hour:02}"),
            "date-minute" => format!("{minute:02}"),
            "date-second" => format!("{second:02}"),
            "date-tzoffsdirection" => (if time.offset? < 0 { "-" } else { "+" }).to_owned(),
            "date-tzoffshour" => format!("{:02}", time.offset?.abs() / 60),
            "date-tzoffsmin" => format!("{:02}", time.offset?.abs() % 60),
            _ => return None,
        }
        .into_bytes(),
    )
}
