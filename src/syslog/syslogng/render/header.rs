//! The part of the drop-in that finds security events and gives those a new header whose old one the agent would drop or
//! misread. The line goes in as `$MESSAGE` and comes out of it.
//!
//! Order of cost: one expression for what is no security event, two more for events with an ordinary header, and the long
//! way only for the rest.

use super::text::push;
use super::{Plan, patterns as p};
use crate::syslog::shapes;

pub(super) fn write(plan: &Plan<'_>, out: &mut String) {
    filters(plan, out);
    offsets(plan, out);
    zoned(plan, out);
    super::dates::write(&plan.stem, out);
    parser(plan, out);
    header(plan, out);
}

fn filters(plan: &Plan<'_>, out: &mut String) {
    let (stem, ids) = (&plan.stem, plan.wanted.rewrite_ids);
    let of = |value: &str, pattern: &str| format!("match('{pattern}' value(\"{value}\") type(pcre))");
    let line = |pattern: &str| of("MESSAGE", pattern);
    let head = format!("{stem}.head");
    let kept =
        |value: &str, pattern: &str| format!("match('{pattern}' value(\"{value}\") type(pcre) flags(store-matches))");
    let mut filter = |name: &str, test: &str| push(out, &format!("filter f_{stem}_{name} {{ {test}; }};"));
    filter("event", &line(&p::event()));
    let (plain, misread) = (line(&p::plain(ids)), line(&p::misread()));
    let readable = format!("({} or {})", line(&p::readable(ids)), line(&p::readable_second(ids)));
    let forwarded = line(shapes::FORWARDED);
    filter(
        "right",
        &format!("{} and not {forwarded} and ({plain} or ({readable} and not {misread}))", line(p::one_line())),
    );
    filter("several", &line(&p::next_event()));
    filter("front", &kept("MESSAGE", &p::front()));
    filter("pri", &kept(&head, &p::pri()));
    filter("half", &kept(&head, &p::half_day()));
    filter("stamp", &kept(&head, &p::stamp()));
    filter("undated", &of(&format!("{stem}.stamp"), r"^\z"));
    filter("oddyear", &kept(&head, &p::odd_year_first()));
    filter("odddate", &kept(&head, &p::odd_day_first()));
    filter("dayfirst", &of(&format!("{stem}.order"), p::day_is_first()));
    filter("epoch", &kept(&head, &p::epoch()));
    let stamp = |pattern: &str| kept(&format!("{stem}.stamp"), pattern);
    filter("offset", &stamp(&p::offset()));
    filter("zone", &of(&format!("{stem}.offset"), r"^[A-Za-z]+\z"));
    filter("digits", &stamp(&p::digits()));
    filter("thousandths", &stamp(&p::thousandths()));
    filter("month", &stamp(&p::month()));
    let [before, behind] = p::days();
    filter("day", &format!("{} or {}", stamp(&before), stamp(&behind)));
    filter("year", &stamp(&p::year()));
    filter("clock", &stamp(&p::clock()));
    filter("zoned", &of(&format!("{stem}.offset"), "."));
    filter("host", &kept(&head, &p::host()));
    filter("nohost", &of(&format!("{stem}.host"), &p::no_host()));
    for (name, pattern) in ["first", "timeless", "lone"].iter().zip(p::other_hosts()) {
        filter(name, &format!("filter(f_{stem}_nohost) and {}", kept(&head, &pattern)));
    }
}

/// Names of time zones become offsets, and every offset gets the one form that stands in ISO times.
fn offsets(plan: &Plan<'_>, out: &mut String) {
    let value = format!("{}.offset", plan.stem);
    let zones: String = shapes::ZONES
        .iter()
        .map(|(offset, names)| {
            format!("  subst('^(?:{})\\z' '{offset}' value(\"{value}\") type(pcre));\n", names.join("|"))
        })
        .collect();
    let text = format!(
        r#"# names of time zones that mean one offset wherever they are used
rewrite r_{stem}_zone {{
{zones}}};
rewrite r_{stem}_offset {{
  subst('^(?:UTC|GMT)(?=[+-])' '' value("{value}") type(pcre));
  subst('^[+](?=[0-9]\z)' '+0' value("{value}") type(pcre)); subst('^-(?=[0-9]\z)' '-0' value("{value}") type(pcre));
  set("${{{value}}}:00" value("{value}") condition(match('^[+-][0-9]{{2}}\z' value("{value}") type(pcre))));
}};
"#,
        stem = plan.stem
    );
    out.push_str(&text);
}

/// Dates with the name of a month and an offset: only in digits can the agent read both.
fn zoned(plan: &Plan<'_>, out: &mut String) {
    let stem = &plan.stem;
    let months: Vec<String> = p::MONTHS
        .iter()
        .zip(1..)
        .map(|(name, number)| format!("subst('^{name}\\z' '{number:02}' value(\"{stem}.month\") type(pcre));"))
        .collect();
    let months: Vec<String> = months.chunks(3).map(|c| format!("  {}\n", c.join(" "))).collect();
    let months = months.concat();
    let is = |value: &str, pattern: &str| format!("match('^{pattern}\\z' value(\"{value}\") type(pcre))");
    let no_year = is(&format!("{stem}.year"), "");
    let around = |month: &str, now: &str| {
        format!("{no_year} and {} and {}", is(&format!("{stem}.month"), month), is("R_MONTH", now))
    };
    let (before, behind) = (around("12", "01"), around("01", "12"));
    let text = format!(
        r#"# Aug  1 10:00:00 UTC: a date with an offset, which the agent reads in digits only
rewrite r_{stem}_zoned {{
{months}  set("0${{{stem}.day}}" value("{stem}.day")); subst('^0(?=[0-9]{{2}})' '' value("{stem}.day") type(pcre));
  set("0${{{stem}.clock}}" value("{stem}.clock")); subst('^0(?=[0-9]{{2}}:)' '' value("{stem}.clock") type(pcre));
  # no year: this one, or where December meets January its neighbour
  set("$(- $R_YEAR 1)" value("{stem}.year") condition({before}));
  set("$(+ $R_YEAR 1)" value("{stem}.year") condition({behind}));
  set("$R_YEAR" value("{stem}.year") condition({no_year}));
  set("${{{stem}.year}}-${{{stem}.month}}-${{{stem}.day}}T${{{stem}.clock}}.000${{{stem}.offset}}" value("{stem}.time"));
}};
"#
    );
    out.push_str(&text);
}

/// Takes `$MESSAGE` as received, drops what is no security event, and leaves the line for the agent in `$MESSAGE`.
fn parser(plan: &Plan<'_>, out: &mut String) {
    let stem = &plan.stem;
    let (next, further) = (p::next_event(), p::further_head(plan.wanted.rewrite_ids));
    let ids = if plan.wanted.rewrite_ids { rewritten_further_ids(stem) } else { String::new() };
    let text = format!(
        r#"# The line as received goes in as $MESSAGE and comes out as the agent reads it rightly.
parser p_{stem} {{
  channel {{
    filter(f_{stem}_event);
    junction {{
      channel {{ filter(f_{stem}_right); flags(final); }};
      channel {{
        rewrite {{
          # a length in front (octet counting), line ends inside
          subst('^[0-9]{{1,6}} (?=<)' '' value("MESSAGE") type(pcre));
          subst('[\r\n\x00]+\z' '' value("MESSAGE") type(pcre));
        }};
        junction {{
          # several events in one datagram, one a line: where one has no header that the agent reads, it gets the first one's
          channel {{
            filter(f_{stem}_several);
            rewrite {{
              set("$MESSAGE" value("{stem}.further"));
              subst('(?s)^.*?(?={next})' '' value("{stem}.further") type(pcre));
              subst('(?s){next}.*' '' value("MESSAGE") type(pcre));
              subst('{next}' "\n" value("{stem}.further") type(pcre) flags(global));
              subst('\n(?!<[0-9])' ' ' value("{stem}.further") type(pcre) flags(global));
              subst('[\r\x00]*\n' ' ' value("MESSAGE") type(pcre) flags(global));
            }};
            filter(f_{stem}_front); parser(p_{stem}_header);
            rewrite {{
              subst('{further}' "\n$1${{{stem}.time}} ${{{stem}.host}} " value("{stem}.further") type(pcre) flags(global, store-matches));
{ids}              set("$MESSAGE${{{stem}.further}}" value("MESSAGE"));
            }};
            flags(final);
          }};
          channel {{ rewrite {{ subst('[\r\x00]*\n' ' ' value("MESSAGE") type(pcre) flags(global)); }}; filter(f_{stem}_right); flags(final); }};
          channel {{
            rewrite {{ subst('[\r\x00]*\n' ' ' value("MESSAGE") type(pcre) flags(global)); }};
            filter(f_{stem}_front); parser(p_{stem}_header); flags(final);
          }};
        }};
        flags(final);
      }};
    }};
  }};
}};
"#
    );
    out.push_str(&text);
}
/// Gives the event a header the agent reads, from what the old one says.
fn header(plan: &Plan<'_>, out: &mut String) {
    let stem = &plan.stem;
    let front = p::front();
    let ids = if plan.wanted.rewrite_ids { rewritten_ids(stem) } else { String::new() };
    // Each piece by a filter of its own: `$1` is what the last one found, and a group that a pattern did not use would
    // still hold what another one left there.
    let take = |filter: &str, value: &str| {
        format!(
            "junction {{ channel {{ filter(f_{stem}_{filter}); rewrite {{ set(\"$1\" value(\"{stem}.{value}\")); }}; flags(final); }}; channel {{ flags(final); }}; }};"
        )
    };
    let [pri, stamp, offset, thousandths, day, year, clock] =
        ["pri", "stamp", "offset", "thousandths", "day", "year", "clock"].map(|n| take(n, n));
    let hosts = ["host", "first", "timeless", "lone"].map(|n| format!("    {}\n", take(n, "host"))).concat();
    let text = format!(
        r#"parser p_{stem}_header {{
  channel {{
    rewrite {{
      set("$1" value("{stem}.head")); set("$MESSAGE" value("{stem}.event"));
      subst('{front}' '' value("{stem}.event") type(pcre));
      subst('\t' ' ' value("{stem}.head") type(pcre) flags(global));
      set("13" value("{stem}.pri")); set("" value("{stem}.host")); set("" value("{stem}.stamp")); set("" value("{stem}.offset"));
      set("000" value("{stem}.thousandths")); set("" value("{stem}.year")); set("" value("{stem}.half"));
      # without a time of its own that of reception
      set("$S_ISODATE" value("{stem}.time"));
{ids}    }};
    {pri}
    junction {{ channel {{ filter(f_{stem}_half); rewrite(r_{stem}_half); flags(final); }}; channel {{ flags(final); }}; }};
    # the first date and time, and its offset
    {stamp}
    junction {{
      channel {{
        filter(f_{stem}_undated);
        junction {{
          channel {{ filter(f_{stem}_oddyear); rewrite(r_{stem}_oddyear); flags(final); }};
          channel {{ filter(f_{stem}_odddate); rewrite(r_{stem}_odddate); flags(final); }};
          channel {{ filter(f_{stem}_epoch); rewrite(r_{stem}_epoch); flags(final); }};
          channel {{ flags(final); }};
        }};
        {stamp}
        flags(final);
      }};
      channel {{ flags(final); }};
    }};
    {offset}
    junction {{
      channel {{ filter(f_{stem}_zone); rewrite(r_{stem}_zone); flags(final); }};
      channel {{ filter(f_{stem}_zoned); rewrite(r_{stem}_offset); flags(final); }};
      channel {{ flags(final); }};
    }};
    junction {{
      channel {{
        filter(f_{stem}_digits);
        rewrite {{ set("${{1}}T${{2}}" value("{stem}.time")); subst('/' '-' value("{stem}.time") type(pcre) flags(global)); }};
        {thousandths}
        rewrite {{ set("${{{stem}.time}}.${{{stem}.thousandths}}${{{stem}.offset}}" value("{stem}.time")); }};
        flags(final);
      }};
      channel {{
        filter(f_{stem}_month);
        rewrite {{ set("$1" value("{stem}.month")); }};
        {day}
        {year}
        {clock}
        junction {{
          channel {{ filter(f_{stem}_zoned); rewrite(r_{stem}_zoned); flags(final); }};
          channel {{
            rewrite {{
              set("${{{stem}.month}} ${{{stem}.day}} ${{{stem}.year}} ${{{stem}.clock}}" value("{stem}.time"));
              subst('  +' ' ' value("{stem}.time") type(pcre) flags(global));
            }};
            flags(final);
          }};
        }};
        flags(final);
      }};
      channel {{ flags(final); }};
    }};
    # host: behind the time, before it, without one, else the sender
{hosts}    rewrite {{
      set("$SOURCEIP" value("{stem}.host") condition(filter(f_{stem}_nohost)));
      # neither the agent nor a header can carry the colons of IPv6
      subst('^::ffff:' '' value("{stem}.host") type(pcre));
      subst(':' '-' value("{stem}.host") type(pcre) flags(global));
      set("<${{{stem}.pri}}>${{{stem}.time}} ${{{stem}.host}} ${{{stem}.event}}" value("MESSAGE"));
    }};
  }};
}};
"#
    );
    out.push_str(&text);
}

/// The same in the events that follow the first one of a datagram.
fn rewritten_further_ids(stem: &str) -> String {
    format!(
        r#"              subst('(?<= )CEF: ?[0-9]+(?=[|])' 'CEF:0' value("{stem}.further") type(pcre) flags(global));
              subst('(?<= )%(?:ASA|FTD)-(?:[A-Za-z_]+-)?(?=[0-7]-[0-9]{{6}})' '%ASA-' value("{stem}.further") type(pcre) flags(global));
"#
    )
}

/// `%FTD-6-430003`, `%ASA-session-6-302013`, `CEF:1|` become what the agent knows.
fn rewritten_ids(stem: &str) -> String {
    let (version, cisco) = (p::other_version(), p::other_cisco());
    format!(
        r#"      # asked for: ids and versions that the agent does not know
      subst('{version}' 'CEF:0' value("{stem}.event") type(pcre));
      subst('{cisco}' '%ASA-' value("{stem}.event") type(pcre));
"#
    )
}
