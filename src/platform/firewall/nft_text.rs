//! A rule of `nft -j` as nft itself writes it, for people: `ip saddr 10.0.0.0/8 udp dport 514 accept`. What is not known
//! is shown as JSON.

use serde_json::Value as Json;

pub fn rule(expr: &[Json]) -> String {
    expr.iter().map(statement).filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" ")
}

pub fn statement(json: &Json) -> String {
    match json.as_object().and_then(|o| o.iter().next()) {
        Some((name, body)) => one(name, body),
        None => expression(json),
    }
}

/// One statement by name.
pub fn one(name: &str, body: &Json) -> String {
    let part = |key: &str| body.get(key).map(expression).unwrap_or_default();
    let over = if body.get("inv").and_then(Json::as_bool) == Some(true) { "over " } else { "" };
    match name {
        "counter" => "counter".to_owned(),
        "match" => {
            let op = match body.get("op").and_then(Json::as_str) {
                Some("==" | "in") | None => String::new(),
                Some(op) => format!("{op} "),
            };
            format!("{} {op}{}", part("left"), part("right"))
        }
        "accept" | "drop" | "return" | "continue" | "notrack" => name.to_owned(),
        "reject" => match body.get("expr") {
            Some(expr) => format!("reject with {} {}", part("type"), expression(expr)),
            None => name.to_owned(),
        },
        "jump" | "goto" => format!("{name} {}", part("target")),
        "log" => match body.get("prefix") {
            Some(prefix) => format!("log prefix {prefix}"),
            None => "log".to_owned(),
        },
        "limit" => format!("limit rate {over}{}/{}", part("rate"), part("per")),
        "vmap" => format!("{} vmap {}", part("key"), part("data")),
        "mangle" => format!("{} set {}", part("key"), part("value")),
        "xt" => format!("xt {} {}", part("type"), part("name")),
        "queue" => "queue".to_owned(),
        "redirect" => format!("redirect to :{}", part("port")),
        "dnat" => format!("dnat to {}:{}", part("addr"), part("port")),
        "ct count" => format!("ct count {over}{}", part("val")),
        "quota" => format!("quota {over}{} {}", part("val"), part("val_unit")).trim_end().to_owned(),
        // `meter` is what older versions call a set with limits of its own for each element.
        "set" | "meter" => {
            let op = body.get("op").and_then(Json::as_str).unwrap_or("add");
            let name = body.get("set").or(body.get("name")).map(expression).unwrap_or_default();
            let (element, each) = (body.get("elem").or(body.get("key")), body.get("stmt"));
            let element = element.map(expression).unwrap_or_default();
            let each = match each {
                Some(Json::Array(all)) => rule(all),
                Some(one) => statement(one),
                None => String::new(),
            };
            let name = if name.starts_with('@') { name } else { format!("@{name}") };
            format!("{op} {name} {{ {element} {each}").trim_end().to_owned() + " }"
        }
        _ => format!("{name} {body}"),
    }
}

pub fn expression(json: &Json) -> String {
    let list = |all: &[Json], by: &str| all.iter().map(expression).collect::<Vec<_>>().join(by);
    match json {
        Json::String(text) => text.clone(),
        Json::Array(all) => list(all, ","),
        Json::Object(o) => match o.iter().next() {
            Some((name, body)) => {
                let part = |key: &str| body.get(key).map(expression).unwrap_or_default();
                match name.as_str() {
                    "payload" => format!("{} {}", part("protocol"), part("field")).trim().to_owned(),
                    "meta" => match part("key").as_str() {
                        key @ ("iif" | "oif" | "iifname" | "oifname" | "skuid" | "skgid") => key.to_owned(),
                        key => format!("meta {key}"),
                    },
                    "ct" => format!("ct {}", part("key")),
                    "fib" => format!("fib {} {}", part("flags"), part("result")),
                    "prefix" => format!("{}/{}", part("addr"), part("len")),
                    "range" => body.as_array().map(|a| list(a, "-")).unwrap_or_default(),
                    "concat" => body.as_array().map(|a| list(a, " . ")).unwrap_or_default(),
                    "set" => match body {
                        Json::Array(all) if all.len() > 20 => {
                            format!(
                                "{{ {}, … ({} elements) }}",
                                list(all.get(..3).unwrap_or_default(), ", "),
                                all.len()
                            )
                        }
                        Json::Array(all) => format!("{{ {} }}", list(all, ", ")),
                        other => expression(other),
                    },
                    "elem" => part("val"),
                    "&" | "|" | "^" | "<<" | ">>" => {
                        body.as_array().map(|a| list(a, &format!(" {name} "))).unwrap_or_default()
                    }
                    "accept" | "drop" | "return" | "continue" => name.clone(),
                    "jump" | "goto" => format!("{name} {}", part("target")),
                    _ => json.to_string(),
                }
            }
            None => String::new(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sets_with_limits_for_each_element() {
        let of = |text: &str| super::statement(&serde_json::from_str(text).unwrap());
        let count = r#"{"set":{"op":"add","elem":{"payload":{"protocol":"ip","field":"saddr"}},"set":"@m","stmt":[{"ct count":{"val":2,"inv":true}}]}}"#;
        assert_eq!(of(count), "add @m { ip saddr ct count over 2 }");
        let meter = r#"{"meter":{"name":"flood","key":{"payload":{"protocol":"ip","field":"saddr"}},"stmt":{"limit":{"rate":10,"per":"second","inv":true}}}}"#;
        assert_eq!(of(meter), "add @flood { ip saddr limit rate over 10/second }");
        assert_eq!(of(r#"{"quota":{"val":25,"val_unit":"mbytes","inv":true}}"#), "quota over 25 mbytes");
    }
}
