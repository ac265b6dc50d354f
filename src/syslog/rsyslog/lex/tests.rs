//! Nothing is lost, nothing is slow, and the odd places are cut as the daemon cuts them.

use proptest::prelude::*;

use super::*;

fn kinds(text: &str) -> Vec<(Kind, &str)> {
    let shown = tokens(text.as_bytes()).into_iter().filter(|t| !t.kind.is_trivia());
    shown.map(|t| (t.kind, &text[t.span])).collect()
}

#[test]
fn old_and_new_words() {
    assert_eq!(kinds("*.* -/var/log/x;T # y\n"), [(Kind::PriFilter, "*.*"), (Kind::LegacyAction, "-/var/log/x;T # y")]);
    assert_eq!(kinds("root,admin\n"), [(Kind::PriFilter, "root,admin")]);
    assert_eq!(kinds("& root,admin\n")[1], (Kind::LegacyAction, "root,admin"));
    assert_eq!(kinds("STOP\n"), [(Kind::Word(Word::Stop), "STOP")]);
    assert_eq!(kinds("stop;\n"), [(Kind::LegacyAction, "stop;")]);
    assert_eq!(kinds("  +host\n"), [(Kind::BsdHost, "  +host")]);
    assert_eq!(kinds("!prog\n"), [(Kind::BsdTag, "!prog")]);
    assert_eq!(kinds("action (\n")[0], (Kind::Begin(ObjectKind::Action), "action ("));
    assert_eq!(kinds("$IncludeConfig /a/*.conf # x\n")[1], (Kind::IncludePath, "/a/*.conf"));
    assert_eq!(kinds("$ModLoad imudp # x\n"), [(Kind::Directive, "$ModLoad imudp # x")]);
}

#[test]
fn a_property_filter_ends_at_a_quote_without_backslash() {
    let text = ":msg, contains, \"a\\\"b\" /x\n";
    assert_eq!(kinds(text)[0], (Kind::PropFilter, ":msg, contains, \"a\\\"b\""));
    // Two backslashes do not save the quote behind them.
    let text = ":msg, contains, \"a\\\\\" /x\n:msg, contains, \"c\" /y\n";
    assert_eq!(kinds(text)[0].1, ":msg, contains, \"a\\\\\" /x\n:msg, contains, \"");
}

#[test]
fn expressions_have_their_own_rules() {
    let found = kinds("if $msg contains 'a\"b' and (not 5 <> 017) then /x\n");
    let words: Vec<_> = found.iter().map(|(_, t)| *t).collect();
    assert_eq!(words, ["if", "$msg", "contains", "'a\"b'", "and", "(", "not", "5", "<>", "017", ")", "then", "/x"]);
    assert_eq!(kinds("if \"a$b\" then\n")[1].0, Kind::BadDollar);
    assert_eq!(kinds("if 1 # 2\n")[2].0, Kind::Bad);
    assert_eq!(
        kinds("call ab call x\n").iter().map(|(k, _)| *k).collect::<Vec<_>>(),
        [Kind::Word(Word::Call), Kind::Name, Kind::Word(Word::Call), Kind::Bad]
    );
}

#[test]
fn joined_lines_and_lost_bytes_are_covered() {
    let text = b"*.* \\\r\n  /x\0hidden\r\n# end";
    let all = tokens(text);
    assert_eq!(all.iter().map(|t| t.span.len()).sum::<usize>(), text.len());
    assert!(all.iter().any(|t| t.kind == Kind::Dropped));
}

/// Bytes and pieces that mean something, in any order.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "if ",
        "then ",
        "$msg",
        "$Dir x\n",
        "*.* ",
        "& ",
        "{",
        "}",
        "\"",
        "'",
        "`",
        "\\",
        "\n",
        "/* ",
        "*/",
        "# ",
        "action(",
        ")",
        "type=\"x\"",
        ":msg, contains, \"",
        "call ",
        "stop\n",
        "set $.x = ",
        ";",
        "\0",
        "\r\n",
        "\u{e9}",
        "$IncludeConfig ",
        "-*",
        "+*",
        "!x\n",
        "[",
        "]",
        ",",
        "reload_lookup_table(",
    ]);
    let piece =
        prop_oneof![4 => pieces.prop_map(|p| p.as_bytes().to_vec()), 1 => prop::collection::vec(any::<u8>(), 1..4)];
    prop::collection::vec(piece, 0..60).prop_map(|p| p.concat())
}

proptest! {
    #[test]
    fn tokens_joined_are_the_file(input in soup()) {
        let mut at = 0;
        for token in tokens(&input) {
            prop_assert_eq!(token.span.start, at);
            prop_assert!(token.span.end > at);
            at = token.span.end;
        }
        prop_assert_eq!(at, input.len());
    }
}

/// A lot of what could make a scanner look at the same bytes again and again.
#[test]
fn long_files_take_no_longer_than_they_are_long() {
    for piece in [
        "\"",
        "'",
        "`",
        "/*",
        "* ",
        " ",
        "\n",
        "\t:msg, contains, \"x\\\"",
        "if \"",
        "main_queue ",
        "-*\n\n ",
        "a.",
        "$x",
        "\\\n",
        "set $.x = '",
        "action(\"",
        "+",
        "!",
        "[",
        ":a,a,\"\\\"",
        "call ",
        "foreach",
    ] {
        let input = piece.repeat(300_000 / piece.len());
        assert_eq!(tokens(input.as_bytes()).iter().map(|t| t.span.len()).sum::<usize>(), input.len());
    }
}
