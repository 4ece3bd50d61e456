//! What passes the scan and what does not, and where it says so.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn check_refused(text: &str, pointer: &str, reason: &Reason) {
    let bad = Json::scan(text.as_bytes(), DEPTH_MAX).expect_err(text);
    assert_eq!(
        (bad.pointer.as_str(), &bad.reason),
        (pointer, reason),
        "{text}"
    );
}

#[test]
fn what_is_sound_is_kept_to_the_byte() {
    for text in [
        "null",
        " [1, -0.5e3 ,\t\"\\u00e9\\ud83d\\ude00\"]\n",
        r#"{"a":{"a":1},"b":[{"a":2}]}"#,
        "18446744073709551615",
        "-9223372036854775808",
        "1e308",
        "\"größe\"",
    ] {
        assert_eq!(
            Json::scan(text.as_bytes(), DEPTH_MAX).map(|json| json.to_string()),
            Ok(text.to_owned())
        );
    }
}

#[test]
fn values_that_two_readers_could_take_differently_are_refused_where_they_stand() {
    check_refused(
        r#"{"a":[0,{"b":1,"b":2}]}"#,
        "/a/1/b",
        &Reason::DuplicateKey {
            key: "b".to_owned(),
        },
    );
    check_refused(
        r#"{"a":1,"\u0061":2}"#,
        "/a",
        &Reason::DuplicateKey {
            key: "a".to_owned(),
        },
    );
    check_refused(r#"["a\u0000b"]"#, "/0", &Reason::Nul);
    check_refused(r#"["\ud800"]"#, "/0", &Reason::LoneSurrogate);
    check_refused(r#"["\ud800\u0041"]"#, "/0", &Reason::LoneSurrogate);
    check_refused(
        r#"{"n":18446744073709551616}"#,
        "/n",
        &Reason::IntegerTooLarge,
    );
    check_refused(r#"{"n":1e400}"#, "/n", &Reason::NumberTooLarge);
    check_refused(r#"{"n":NaN}"#, "/n", &Reason::NotFinite);
}

#[test]
fn broken_texts_are_refused_as_grammar() {
    for text in [
        "",
        "{",
        "[1,]",
        "{\"a\" 1}",
        "01",
        "1.",
        "nul",
        "\"a",
        "[1] 2",
        "'a'",
        "\"\t\"",
        "{1:2}",
    ] {
        let bad = Json::scan(text.as_bytes(), DEPTH_MAX).expect_err(text);
        assert!(bad.reason.is_grammar(), "{text}: {bad}");
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    let bad = Json::scan(b"[\"a\xff\"]", DEPTH_MAX).unwrap_err();

    assert_eq!((bad.at, bad.reason), (3, Reason::NotUtf8));
}

#[test]
fn depth_is_bounded_and_ten_thousand_levels_do_no_harm() {
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();

    assert!(Json::scan(&nested(64), 64).is_ok());
    assert_eq!(
        Json::scan(&nested(65), 64).unwrap_err().reason,
        Reason::TooDeep { max: 64 }
    );
    assert_eq!(
        Json::scan(&nested(10_000), 64).unwrap_err().reason,
        Reason::TooDeep { max: 64 }
    );
}

#[test]
fn the_last_of_many_keys_is_compared_with_the_first() {
    let keys: Vec<String> = (0..100_000).map(|n| format!("\"k{n}\":0")).collect();
    let sound = format!("{{{}}}", keys.join(","));
    let twice = format!("{{{},\"k0\":1}}", keys.join(","));

    assert!(Json::scan(sound.as_bytes(), DEPTH_MAX).is_ok());
    check_refused(
        &twice,
        "/k0",
        &Reason::DuplicateKey {
            key: "k0".to_owned(),
        },
    );
}

#[test]
fn numbers_are_refused_from_the_first_that_overflows() {
    let most = "1.7976931348623157e308";
    let zeros = |count: usize| "0".repeat(count);

    for text in [
        most.to_owned(),
        "-1e-400".to_owned(),
        format!("0.{}1e400", zeros(399)),
        format!("1{}.0e-300", zeros(500)),
        "0e999999999999".to_owned(),
    ] {
        assert!(check(text.as_bytes(), DEPTH_MAX).is_ok(), "{text}");
        assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
    }
    check_refused("1.7976931348623159e308", "", &Reason::NumberTooLarge);
    check_refused("-1e999999999999", "", &Reason::NumberTooLarge);
    check_refused(&format!("1{}.0", zeros(309)), "", &Reason::NumberTooLarge);
    check_refused("-9223372036854775809", "", &Reason::IntegerTooLarge);
}

#[test]
fn a_quote_a_backslash_or_a_control_character_is_seen_at_every_place_of_a_word() {
    for before in 0..20 {
        let plain = "é".repeat(before / 2) + &"x".repeat(before % 2);
        let sound = format!(r#"["{plain}\\{plain}\"",0]"#);
        let broken = format!("[\"{plain}\u{1f}{plain}\"]");

        assert!(check(sound.as_bytes(), DEPTH_MAX).is_ok(), "{sound}");
        check_refused(&broken, "/0", &Reason::ControlCharacter);
    }
}

#[test]
fn pointers_escape_keys_and_cut_long_ones() {
    check_refused(
        r#"{"a/b~c":{"\u00e9":NaN}}"#,
        "/a~1b~0c/é",
        &Reason::NotFinite,
    );

    let long = "k".repeat(1 << 20);
    let bad = check(
        format!("{{\"{long}\":1,\"{long}\":1}}").as_bytes(),
        DEPTH_MAX,
    )
    .unwrap_err();

    assert_eq!(bad.pointer, format!("/{}…", "k".repeat(64)));
    assert!(bad.to_string().len() < 300);
}

#[test]
fn a_place_in_a_text_has_the_pointer_of_its_value() {
    let text = r#"{"a": [10, {"b\"c": "x,]}"}], "d": {}, "e": []}"#;
    for (mark, pointer) in [
        ("{\"a", ""),
        ("a\": [", "/a"),
        ("[10", "/a"),
        ("10", "/a/0"),
        (", {", "/a/1"),
        ("x,]}", "/a/1/b\"c"),
        ("]}\"", "/a/1/b\"c"),
        ("{}, ", "/d"),
        ("}, \"e", "/d"),
        ("[]}", "/e"),
        ("]}", "/a/1/b\"c"),
    ] {
        let at = text.find(mark).expect(mark);
        assert_eq!(pointer_at(text, at), pointer, "{mark}");
    }
    assert_eq!(pointer_at(text, text.len() - 1), "");
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(Value::from),
        "[^\\x00]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[^\\x00]{0,6}", inner, 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_serde_writes_passes(value in any_value()) {
        let text = value.to_string();
        prop_assert_eq!(check(text.as_bytes(), DEPTH_MAX), Ok(text.as_str()));
    }

    #[test]
    fn whatever_passes_serde_reads(text in "[\\[\\]{}:,\"\\\\a-c0-9.eE+\\- ntrufals]{0,24}") {
        if check(text.as_bytes(), DEPTH_MAX).is_ok() {
            prop_assert!(serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
        }
    }
}
