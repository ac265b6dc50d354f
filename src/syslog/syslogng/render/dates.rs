//! Rewrite rules for clocks of twelve hours, for dates in digits whose year does not come first and for seconds since 1970.
//! The first two change the header itself, before anything else reads it.
//!
//! Only what every version has: subtraction and the like in templates, and no `date-parser()`, which came late, stands in
//! a module of its own, and would make the events something that our reader cannot follow.

use super::patterns as p;

pub(super) fn write(stem: &str, out: &mut String) {
    let (half, year_first, day_first) = (p::half_day(), p::odd_year_first(), p::odd_day_first());
    let months = p::MONTHS.join("|");
    let text = format!(
        r#"# 9:21:07 PM becomes 21:21:07
rewrite r_{stem}_half {{
  set("$3" value("{stem}.half")); set("$2" value("{stem}.clock")); set("$(% $1 12)" value("{stem}.hour"));
  set("$(+ ${{{stem}.hour}} 12)" value("{stem}.hour") condition(match('^[Pp]' value("{stem}.half") type(pcre))));
  set("0${{{stem}.hour}}" value("{stem}.hour")); subst('^0(?=[0-9]{{2}})' '' value("{stem}.hour") type(pcre));
  set("h" value("{stem}.half"));
  subst('{half}' "${{{stem}.hour}}${{{stem}.clock}}" value("{stem}.head") type(pcre));
}};
# 2026.08.14, 20260814T092107: a date in the order of ISO times, with their marks
rewrite r_{stem}_oddyear {{
  set("$1-0$2-0$3 0$4:$5:$6" value("{stem}.date"));
  subst('(?<=[- ])0(?=[0-9]{{2}})' '' value("{stem}.date") type(pcre) flags(global));
  subst('{year_first}' "${{{stem}.date}}" value("{stem}.head") type(pcre));
}};
# 08/14/2026, 14.08.2026, 14-Aug-26: the same
rewrite r_{stem}_odddate {{
  set("$1" value("{stem}.first")); set("$2" value("{stem}.mark")); set("$3" value("{stem}.second"));
  set("$4" value("{stem}.year")); set("$5" value("{stem}.clock"));
  subst('^(?=[0-9]\z)' '0' value("{stem}.first") type(pcre)); subst('^(?=[0-9]\z)' '0' value("{stem}.second") type(pcre));
  subst('^(?=[0-9]{{2}}\z)' '20' value("{stem}.year") type(pcre)); subst('^(?=[0-9]:)' '0' value("{stem}.clock") type(pcre));
  # which of them is the day?
  set("${{{stem}.mark}}${{{stem}.half}}|${{{stem}.first}}|${{{stem}.second}}|$R_MONTH" value("{stem}.order"));
  set("${{{stem}.year}}-${{{stem}.first}}-${{{stem}.second}} ${{{stem}.clock}}" value("{stem}.date"));
  set("${{{stem}.year}}-${{{stem}.second}}-${{{stem}.first}} ${{{stem}.clock}}" value("{stem}.date") condition(filter(f_{stem}_dayfirst)));
  set("${{{stem}.first}} ${{{stem}.second}} ${{{stem}.year}} ${{{stem}.clock}}" value("{stem}.date")
    condition(match('^(?:{months})\z' value("{stem}.second") type(pcre))));
  subst('{day_first}' "${{{stem}.date}}" value("{stem}.head") type(pcre));
  set("" value("{stem}.year"));
}};
# seconds since 1970: days since a first of March, of which years of 365 days and a bit, and months of 153/5 days, are taken
rewrite r_{stem}_epoch {{
  set("$1" value("{stem}.date"));
  set("$(% ${{{stem}.date}} 86400)" value("{stem}.clock")); set("$(+ $(/ ${{{stem}.date}} 86400) 719468)" value("{stem}.date"));
  set("$(/ ${{{stem}.date}} 146097)" value("{stem}.era")); set("$(% ${{{stem}.date}} 146097)" value("{stem}.date"));
  set("$(- $(+ ${{{stem}.date}} $(/ ${{{stem}.date}} 36524)) $(+ $(/ ${{{stem}.date}} 1460) $(/ ${{{stem}.date}} 146096)))" value("{stem}.year"));
  set("$(/ ${{{stem}.year}} 365)" value("{stem}.year"));
  set("$(- $(+ ${{{stem}.date}} $(/ ${{{stem}.year}} 100)) $(+ $(* ${{{stem}.year}} 365) $(/ ${{{stem}.year}} 4)))" value("{stem}.date"));
  set("$(/ $(+ $(* ${{{stem}.date}} 5) 2) 153)" value("{stem}.month"));
  set("$(+ $(- ${{{stem}.date}} $(/ $(+ $(* ${{{stem}.month}} 153) 2) 5)) 1)" value("{stem}.day"));
  set("$(+ $(+ ${{{stem}.year}} $(* ${{{stem}.era}} 400)) $(/ $(+ ${{{stem}.month}} 2) 12))" value("{stem}.year"));
  set("$(+ $(% $(+ ${{{stem}.month}} 2) 12) 1)" value("{stem}.month"));
  set("${{{stem}.year}}-0${{{stem}.month}}-0${{{stem}.day}}T0$(/ ${{{stem}.clock}} 3600):0$(/ $(% ${{{stem}.clock}} 3600) 60):0$(% ${{{stem}.clock}} 60).000Z" value("{stem}.time"));
  subst('(?<=[-T:])0(?=[0-9]{{2}})' '' value("{stem}.time") type(pcre) flags(global));
  set("" value("{stem}.year"));
}};
"#
    );
    out.push_str(&text);
}
