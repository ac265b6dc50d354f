//! Clocks of twelve hours, and dates in digits whose year does not come first: rewritten in the header itself, before
//! anything else reads it. Nothing here runs for a header that holds neither.

use super::rule::{HEAD, NONE, STAMP};
use super::script::{matches, part};
use crate::syslog::shapes as p;

const HALF: &str = "$.cefctl_half";
const HOUR: &str = "$.cefctl_hour";
const DATE: &str = "$.cefctl_date";
const FIRST: &str = "$.cefctl_first";
const SECOND: &str = "$.cefctl_second";
const YEAR: &str = "$.cefctl_year";
const CLOCK: &str = "$.cefctl_clock";

/// `9:21:07 PM` becomes `21:21:07`. A number that begins with 0 would be read as an octal one.
pub fn half_day() -> String {
    let half = part(HEAD, "", p::HALF_DAY, p::AFTER_HALF_DAY, NONE);
    let hour = part(HALF, "^0?", "[0-9]+", ":", "\"0\"");
    let rest = part(HALF, "^[0-9]+", "[0-9:.,]+", "", NONE);
    format!(
        r##"      # twelve hours a day become twenty-four
      set {HALF} = "";
      if {HEAD} contains "AM" or {HEAD} contains "PM" or {HEAD} contains "am" or {HEAD} contains "pm" then {{
        set {HALF} = {half};
        if {HALF} != "" then {{
          set {HOUR} = cnum({hour}) % 12;
          if {HALF} contains "P" or {HALF} contains "p" then
            set {HOUR} = {HOUR} + 12;
          if {HOUR} < 10 then
            set {HOUR} = "0" & {HOUR};
          set {HEAD} = replace({HEAD}, {HALF}, {HOUR} & {rest});
        }}
      }}
"##
    )
}

/// `08/14/2026 9:21:07`, `14.08.2026 …`, `20260814T092107` become `2026-08-14 09:21:07`, whose stamp is looked for once
/// more. Where either number may be the month: the day comes first before dots; a clock of twelve hours is American;
/// else it is the one that is this month, else the first where a slash stands, the second where a dash.
pub fn odd(stamp: &str) -> String {
    let date = part(HEAD, p::BEFORE_ODD, &p::odd_time(), p::AFTER_ODD, NONE);
    let mark = p::ODD_MARK;
    let number = p::ODD_FIRST;
    let first = part(DATE, "^", number, mark, NONE);
    let second = part(DATE, &format!("^{number}{mark}"), &format!("{number}|{}", p::MONTH), mark, NONE);
    let year = part(DATE, &format!("^{number}{mark}[0-9A-Za-z]+{mark}"), "[0-9]{2,4}", "", NONE);
    let early_year = part(DATE, "^", p::YEAR, "", NONE);
    let month = part(DATE, &format!("^[0-9]{{4}}{mark}?"), "0?[1-9]|1[0-2]", "", NONE);
    let day = part(DATE, &format!("^[0-9]{{4}}({mark}{number}{mark}|[0-9]{{2}})"), number, "", NONE);
    let clock = part(DATE, "[^0-9]", p::CLOCK, "$", NONE);
    let [hours, minutes, seconds] =
        ["[0-9]{4}$", "[0-9]{2}$", "$"].map(|behind| part(DATE, "", "[0-9]{2}", behind, NONE));
    let late = "^(1[3-9]|[23])";
    let (first_is_late, second_is_late) = (matches(FIRST, late), matches(SECOND, late));
    let pad: String = [(FIRST, 1), (SECOND, 1), (CLOCK, 7)]
        .map(|(name, short)| {
            format!("          if strlen({name}) == {short} then\n            set {name} = \"0\" & {name};\n")
        })
        .concat();
    format!(
        r##"      # 08/14/2026, 14.08.2026, 20260814: the same in the order of ISO times
      if {STAMP} == "" then {{
        set {DATE} = {date};
        if {DATE} != "" then {{
          set {CLOCK} = {clock};
          if {CLOCK} == "" then
            set {CLOCK} = {hours} & ":" & {minutes} & ":" & {seconds};
          set {YEAR} = {early_year};
          if {YEAR} != "" then {{
            set {FIRST} = {month};
            set {SECOND} = {day};
          }} else {{
            set {FIRST} = {first};
            set {SECOND} = {second};
            set {YEAR} = {year};
            if strlen({YEAR}) == 2 then
              set {YEAR} = "20" & {YEAR};
          }}
{pad}          if strlen({SECOND}) == 3 then {{
            set {HEAD} = replace({HEAD}, {DATE}, {FIRST} & " " & {SECOND} & " " & {YEAR} & " " & {CLOCK});
          # the month, or the day first?
          }} else if not ({DATE} startswith {YEAR})
              and ({first_is_late}
                or (not {second_is_late}
                  and ({DATE} contains "."
                    or ({HALF} == "" and {FIRST} != $$month and ({SECOND} == $$month or {DATE} contains "-"))))) then {{
            set {HEAD} = replace({HEAD}, {DATE}, {YEAR} & "-" & {SECOND} & "-" & {FIRST} & " " & {CLOCK});
          }} else {{
            set {HEAD} = replace({HEAD}, {DATE}, {YEAR} & "-" & {FIRST} & "-" & {SECOND} & " " & {CLOCK});
          }}
          set {STAMP} = {stamp};
        }}
      }}
"##
    )
}

/// `seconds` since 1970 (an expression) into `time`, for versions without `format_time()`: days since a first of March, of
/// which years of 365 days and a bit, and months of 153/5 days, are taken.
pub fn epoch(seconds: &str, time: &str) -> String {
    let names = ["days", "rest", "era", "years", "months"].map(|name| format!("$.cefctl_{name}"));
    let [days, rest, era, years, months] = &names;
    let two = |what: &str| {
        format!(
            "        if {HOUR} < 10 then\n          set {HOUR} = \"0\" & {HOUR};\n        set {time} = {time} & \"{what}\" & {HOUR};\n"
        )
    };
    let parts: String = [
        ("-", format!("({months} + 2) % 12 + 1")),
        ("-", format!("{days} - ({months} * 153 + 2) / 5 + 1")),
        ("T", format!("{rest} / 3600")),
        (":", format!("{rest} % 3600 / 60")),
        (":", format!("{rest} % 60")),
    ]
    .map(|(mark, value)| format!("        set {HOUR} = {value};\n{}", two(mark)))
    .concat();
    format!(
        r##"        set {rest} = cnum({seconds});
        set {days} = {rest} / 86400 + 719468;
        set {rest} = {rest} % 86400;
        set {era} = {days} / 146097;
        set {days} = {days} % 146097;
        set {years} = ({days} - {days} / 1460 + {days} / 36524 - {days} / 146096) / 365;
        set {days} = {days} - {years} * 365 - {years} / 4 + {years} / 100;
        set {months} = ({days} * 5 + 2) / 153;
        set {time} = {years} + {era} * 400 + ({months} + 2) / 12;
{parts}        set {time} = {time} & ".000Z";
"##
    )
}
